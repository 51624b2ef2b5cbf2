//! A static topic: its logical queues wander between brokers (PROTOCOL C.7).

use rocketmq_engine::proto::Message;
use rocketmq_testkit::TopicConfig;

use super::book::Place;
use super::world::World;

/// A topic whose queues belong to whoever holds them.
pub(super) const LOGICAL: &str = "logical";
/// Logical queues for each broker.
const EACH: i32 = 2;

impl World {
    /// Gives each broker its share of the logical queues, beginning anew with each epoch.
    pub(super) fn deal_queues(&mut self) {
        self.epoch += 1;
        let (epoch, name) = (self.epoch, self.wire(LOGICAL));
        let brokers = self.cluster.brokers().len() as i32;
        let total = EACH * brokers;
        for (place, broker) in (0..brokers).zip(self.cluster.brokers_mut()) {
            let holds = |queue: &i32| (queue / EACH + epoch as i32) % brokers == place;
            let held = (0..total).filter(holds).zip(0..EACH);
            let config = TopicConfig::new(EACH).logical(total, epoch, held);
            broker.create_topic(&name, config);
        }
        self.cluster.register_all();
    }

    /// Messages for whichever queue is next.
    pub(super) fn send_logical(&mut self) -> Result<(), String> {
        for _ in 0..self.rng.within(1, 4) {
            let body = self.draw_body();
            let timeout = self.draw_timeout();
            let message = Message::new(LOGICAL, body).timeout(timeout);
            self.send(vec![message], false, Place::Any, true)?;
        }
        Ok(())
    }
}
