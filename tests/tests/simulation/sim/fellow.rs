//! A second producer on the same client, which comes and goes (PROTOCOL E.3).

use std::sync::Arc;

use rocketmq_engine::proto::GroupName;
use rocketmq_engine::{Operation, ProducerId};

use super::world::World;

impl World {
    /// Another group joins. Its settings are those of the first: the book knows no others.
    pub(super) fn fellow_joins(&mut self) -> Result<(), String> {
        if self.engine.is_closed() {
            return Ok(());
        }
        self.trace.line(self.now, || "< a fellow joins".to_owned());
        let mut config = (*self.config).clone();
        config.group = GroupName::new("fellow").expect("a legal name");
        let now = self.moment();
        let joined = self.engine.join(now, Arc::new(config));
        self.fellow = Some(joined.map_err(|error| error.to_string())?);
        Ok(())
    }

    pub(super) fn fellow_leaves(&mut self) -> Result<(), String> {
        let grace = self.draw_grace();
        self.end_fellow(Operation::Shutdown { grace })
    }

    pub(super) fn end_fellow(&mut self, shutdown: Operation) -> Result<(), String> {
        let Some(fellow) = self.fellow else {
            return Ok(());
        };
        self.caller = fellow;
        let ended = self.submit(shutdown, None, true);
        self.caller = self.producer;
        ended
    }

    /// Who makes the next call.
    pub(super) fn draw_caller(&mut self) -> ProducerId {
        match self.fellow {
            Some(fellow) if self.rng.chance(400) => fellow,
            _ => self.producer,
        }
    }

    /// Whether every producer was told to end.
    pub(super) fn is_ending(&self) -> bool {
        let mut producers = [Some(self.producer), self.fellow].into_iter().flatten();
        producers.all(|producer| self.book.is_ending(producer))
    }
}
