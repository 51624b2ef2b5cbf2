//! Asking producers what became of their half messages (PROTOCOL G.2, B.6).

use std::time::Duration;

use bytes::BytesMut;
use rocketmq_proto::{
    Flags, RequestCode, StoredMessage, StoredVersion, header::CheckTransactionStateRequest,
};

use super::{
    Broker, HalfState,
    schedule::{again, real_queue},
};
use crate::{
    Action, Flavour, PeerId, ServerNow, properties,
    store::{NewMessage, Put},
};

/// Where half messages go that nobody would end.
pub(super) const GIVEN_UP_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
const TIMES: &str = "TRANSACTION_CHECK_TIMES";

impl Broker {
    /// Asks about every open half message that is old enough, whenever the last look at them was. One that was
    /// asked about often enough is given up instead. Returns how many questions went out.
    pub fn check_halves(&mut self, now: ServerNow, out: &mut Vec<Action>) -> usize {
        let old_enough = |half: &super::Half| {
            let age = now.unix_ms.saturating_sub(half.unix_ms);
            half.state == HalfState::Open
                && age >= half.immunity_ms.unwrap_or(self.config.check_after_ms)
        };
        let halves = self.halves.iter().enumerate();
        let due: Vec<_> = halves.filter(|(_, half)| old_enough(half)).collect();
        let due: Vec<_> = due.into_iter().map(|(index, _)| index).collect();
        let asked = due.into_iter().filter(|index| self.check(now, *index, out));
        asked.count()
    }

    /// The same as often as a broker does by itself.
    pub(super) fn check_halves_in_turn(&mut self, now: ServerNow, out: &mut Vec<Action>) {
        if now.unix_ms < self.next_check_ms {
            return;
        }
        let own = match self.flavour() {
            Flavour::V4_9 => 60_000,
            Flavour::V5_3 => 30_000,
        };
        let interval = self.config.check_interval_ms.unwrap_or(own);
        self.next_check_ms = now.unix_ms.saturating_add(interval);
        self.check_halves(now, out);
    }

    /// Asks about one, if one of its group is here; counts and stores it anew in any case, as a real broker does.
    fn check(&mut self, now: ServerNow, index: usize, out: &mut Vec<Action>) -> bool {
        let max = self.config.max_checks;
        let Some(half) = self.halves.get_mut(index) else {
            return false;
        };
        let (offset, gives_up) = (half.commit_log_offset, half.checks >= max);
        let (group, turn) = (half.group.clone(), half.checks as usize);
        if gives_up {
            half.state = HalfState::GivenUp;
        } else {
            half.checks += 1;
        }
        let times = half.checks;
        let Some(message) = self.message_at(offset) else {
            return false;
        };
        let mut wire = properties::without(message.properties.as_wire(), &[TIMES]);
        properties::append(&mut wire, TIMES, &times.to_string());
        let topic = if gives_up {
            GIVEN_UP_TOPIC
        } else {
            &message.topic
        };
        let anew = NewMessage {
            topic,
            properties: &wire,
            ..again(&message)
        };
        let Ok(put) = self.store.append(now, anew) else {
            return false;
        };
        if gives_up {
            return false;
        }
        self.halves.stored_again(index, put);
        let conns = self.clients.conns_of_group(now, &group);
        // In turn (Java: getAvailableChannel).
        let Some(conn) = conns.get(turn % conns.len().max(1)) else {
            return false;
        };
        self.ask(*conn, put, out).is_some()
    }

    fn ask(&mut self, conn: PeerId, put: Put, out: &mut Vec<Action>) -> Option<()> {
        let mut message = self.message_at(put.commit_log_offset)?;
        let half_topic = message.topic.clone();
        let (topic, queue_id) = real_queue(message.properties.as_wire())?;
        (message.topic, message.queue_id) = (topic.to_owned(), queue_id);
        // Packed again with the first layout, whatever the length of the topic (PROTOCOL D.7).
        message.version = StoredVersion::V1;
        let mut body = BytesMut::new();
        message.encode(&mut body).ok()?;
        let header = self.check_header(&message, &half_topic, put);
        let code = RequestCode::CHECK_TRANSACTION_STATE.0;
        let bytes = self
            .desk
            .start_request(code, Flags::ONEWAY, &header, &body)?;
        out.push(Action::Write {
            conn,
            bytes,
            after: Duration::ZERO,
        });
        Some(())
    }

    fn check_header(
        &self,
        message: &StoredMessage,
        half_topic: &str,
        put: Put,
    ) -> CheckTransactionStateRequest<'static> {
        let unique_key = message.properties.get("UNIQ_KEY").map(str::to_owned);
        let of_5x = |text: &str| {
            let text = (self.flavour() != Flavour::V4_9).then(|| text.to_owned());
            text.map(Into::into)
        };
        CheckTransactionStateRequest {
            topic: of_5x(half_topic),
            tran_state_table_offset: put.queue_offset,
            commit_log_offset: put.commit_log_offset,
            msg_id: unique_key.clone().map(Into::into),
            transaction_id: unique_key.map(Into::into),
            offset_msg_id: Some(self.offset_id(put).into()),
            broker_name: of_5x(&self.config.name),
        }
    }
}
