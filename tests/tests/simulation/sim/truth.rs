//! What must be true in the end, with the servers' own stores as witness.

use std::collections::BTreeMap;

use rocketmq_engine::proto::trace::{EndTransactionTrace, TraceRecords};
use rocketmq_engine::proto::{RequestCode, StoredMessage, TraceRecord, names, property};
use rocketmq_engine::{Certainty, Frame, Outcome, Retry, SendReceipt};

use rocketmq_testkit::ServerNow;

use super::asking::check_reply;
use super::book::{Carried, End, Expected, Place, Record, What};
use super::frames::{self, SendSeen};
use super::logical::LOGICAL;
use super::workload::STABLE;
use super::world::World;

/// A message as a broker has it.
pub(super) struct Copy {
    pub(super) broker: String,
    pub(super) message: StoredMessage,
}

impl World {
    /// Enters a frame that leaves, and checks what every frame has to be.
    pub(super) fn book_frame(&mut self, id: u64, frame: &Frame) -> Result<(), String> {
        let wire = &self.net.wires[&id];
        if self.is_discovery(wire.server) {
            return self.check_question(id, frame);
        }
        self.check_dress(frame)?;
        let broker = &self.net.servers[wire.server].broker;
        let seen = frames::read(frame)?;
        if wire.given.0 == 0 && broker.is_some() {
            // PROTOCOL E.3: at once, or the broker could not call back.
            let code = RequestCode(seen.code);
            if code != RequestCode::HEART_BEAT {
                return Err(format!("the first frame to a broker is {code}"));
            }
        }
        if seen.flags.is_response() {
            return self.note_push_answer(seen.code, seen.opaque);
        }
        let Some(send) = seen.send else { return Ok(()) };
        if broker.as_deref() != Some(send.broker.as_str()) {
            return Err(format!("a frame for {} goes to {broker:?}", send.broker));
        }
        if send.born_timestamp != self.unix_ms() as i64 {
            return Err(format!("a frame is born at {}", send.born_timestamp));
        }
        if send.topic == names::topic::TRACE_TOPIC {
            return self.check_trace(&send);
        }
        self.book.turns += 1;
        let mut rest = &send.unique_keys[..];
        let mut company = None;
        while let Some(first) = rest.first() {
            let Some(index) = self.book.by_key.get(first) else {
                return Err(format!("a frame carries {first}, which nobody sent"));
            };
            let record = &mut self.book.records[*index];
            let own = record.messages.iter().map(|message| &message.unique_key);
            if !own.eq(rest.iter().take(record.messages.len())) {
                return Err(format!("a frame carries {:?}", send.unique_keys));
            }
            rest = &rest[record.messages.len()..];
            if record.end.is_some() || !record.admitted {
                return Err(format!("{first} is sent out of its time"));
            }
            if send.unique_keys.len() > record.messages.len() {
                let kin = (
                    record.producer,
                    record.topic.clone(),
                    record.place.clone(),
                    record.messages[0].tag.clone(),
                );
                let fits = company.as_ref().is_none_or(|company| *company == kin);
                if !record.may_share || !fits {
                    return Err(format!("{first} shares a frame with {company:?}"));
                }
                company = Some(kin);
            }
            record.carried.push(Carried {
                turn: self.book.turns,
                wire: id,
                broker: send.broker.clone(),
                queue_id: send.queue_id,
            });
        }
        Ok(())
    }

    /// Trace messages tell of sends that were confirmed and of ends of transactions, and of nothing else.
    fn check_trace(&self, send: &SendSeen) -> Result<(), String> {
        let text = std::str::from_utf8(&send.body).map_err(|error| error.to_string())?;
        for record in TraceRecords::new(text) {
            let publish = match record.map_err(|error| error.to_string())? {
                TraceRecord::Publish(publish) => publish,
                TraceRecord::EndTransaction(end) => {
                    self.check_traced_end(send, &end)?;
                    continue;
                }
                _ => return Err("a trace record is of a kind that nothing here makes".to_owned()),
            };
            let group = format!("_INNER_TRACE_PRODUCER-{}-PRODUCE-1", publish.group);
            if send.group != group {
                return Err(format!("{} traces a send of {}", send.group, publish.group));
            }
            let ids = publish.message_id.as_deref().unwrap_or_default();
            for id in ids.split(',') {
                let Some(index) = self.book.by_key.get(id) else {
                    return Err(format!("{id} is traced, which nobody sent"));
                };
                let record = &self.book.records[*index];
                // The engine may tell the trace a moment before the caller.
                let fits = match &record.end {
                    None => true,
                    Some(End::Outcome(Outcome::Replied(_) | Outcome::Sent(_))) => {
                        record.topic == publish.topic
                    }
                    // A request without a reply.
                    Some(End::Outcome(Outcome::Failed(error))) => {
                        error.certainty() == Certainty::Stored && record.topic == publish.topic
                    }
                    Some(_) => false,
                };
                if !fits {
                    return Err(format!("{id} is traced: {publish:?}"));
                }
            }
        }
        Ok(())
    }

    /// An end is that of a half message, and says what became of the local transaction or nothing.
    fn check_traced_end(
        &self,
        send: &SendSeen,
        end: &EndTransactionTrace<'_>,
    ) -> Result<(), String> {
        let group = format!("_INNER_TRACE_PRODUCER-{}-PRODUCE-1", end.group);
        let id = end.message_id.as_deref().unwrap_or_default();
        let record = self
            .book
            .by_key
            .get(id)
            .map(|index| &self.book.records[*index]);
        let Some(record) = record.filter(|record| record.half && record.topic == end.topic) else {
            return Err(format!(
                "the end of {id} is traced, which is no half message"
            ));
        };
        let message = &record.messages[0];
        let is_same = end.tags.as_deref() == Some(&*message.tag)
            && end.keys.as_deref() == Some(&*message.key)
            && send.group == group;
        let known = self.ledger.get(id).map(|state| state.name());
        let is_true = end.state == "UNKNOW" || Some(&*end.state) == known;
        if !is_same || !is_true {
            return Err(format!("{known:?} is traced as {end:?}"));
        }
        Ok(())
    }

    /// Every confirmed send and every end of a transaction was traced, or its record is counted as dropped.
    fn check_traced(&self) -> Result<(), String> {
        let stats = self.engine.stats();
        // A request is traced when it is confirmed, which its reply may have overtaken.
        let confirmed = stats.sent - stats.replied + stats.failed_stored;
        let expected = match self.config.trace {
            Some(_) => {
                let least = confirmed + stats.transactions_ended;
                least..=least + stats.replied
            }
            None => 0..=0,
        };
        if !expected.contains(&(stats.traced + stats.trace_dropped)) {
            return Err(format!(
                "{expected:?} records were to be written: {stats:?}"
            ));
        }
        Ok(())
    }

    /// The application closed the producer, and time enough has passed.
    pub(super) fn check_closed(&self) -> Result<(), String> {
        if !self.engine.is_closed() {
            return Err("the producer is not closed after its shutdown".to_owned());
        }
        Ok(())
    }

    /// When nothing happens any more.
    pub(super) fn check_end(&self) -> Result<(), String> {
        if let Some((op, record)) = self.book.live().next() {
            return Err(format!("{op}, a {:?}, never completed", record.what));
        }
        let stats = self.engine.stats();
        let left = stats.in_flight + stats.oneway_in_flight + stats.in_flight_bytes;
        if left > 0 || stats.connections > 0 {
            return Err(format!("something is left in the engine: {stats:?}"));
        }
        if let Some(conn) = self.net.conns.keys().next() {
            return Err(format!("{conn} was never closed"));
        }
        let now = ServerNow {
            unix_ms: self.unix_ms(),
        };
        for broker in self.cluster.brokers() {
            if let Some(client) = broker.clients(now).first() {
                let name = &broker.config().name;
                return Err(format!("{name} still knows {client:?}"));
            }
        }
        self.check_order()?;
        self.check_answers()?;
        self.check_told()?;
        self.check_traced()?;
        self.check_pushes()?;
        let copies = self.copies();
        for key in copies.keys() {
            if !self.book.by_key.contains_key(key) {
                return Err(format!("{key} is stored, but nobody sent it"));
            }
        }
        self.book
            .records
            .iter()
            .try_for_each(|record| self.check_record(record, &copies))
    }

    fn copies(&self) -> BTreeMap<String, Vec<Copy>> {
        let mut copies: BTreeMap<String, Vec<Copy>> = BTreeMap::new();
        for broker in self.cluster.brokers() {
            let messages = broker.messages().into_iter();
            for message in messages.filter(|m| m.topic != names::topic::TRACE_TOPIC) {
                let key = message.properties.get(property::UNIQ_KEY);
                let key = key.unwrap_or_default().to_owned();
                let broker = broker.config().name.clone();
                copies
                    .entry(key)
                    .or_default()
                    .push(Copy { broker, message });
            }
        }
        copies
    }

    fn check_record(
        &self,
        record: &Record,
        copies: &BTreeMap<String, Vec<Copy>>,
    ) -> Result<(), String> {
        for (place, expected) in record.messages.iter().enumerate() {
            let key = &expected.unique_key;
            let copies = copies.get(key).map_or(&[][..], Vec::as_slice);
            let said = |why: String| format!("{key}: {why}");
            if record.half {
                self.check_half(record, copies).map_err(said)?;
                continue;
            }
            self.check_copies(record, expected, copies).map_err(said)?;
            match &record.end {
                None => return Err(said("it never ended".to_owned())),
                Some(End::Abandoned | End::Refused) if !copies.is_empty() => {
                    return Err(said("it was given back, but is stored".to_owned()));
                }
                Some(End::Outcome(Outcome::Sent(receipt))) => {
                    check_receipt(record, place, receipt, copies).map_err(said)?;
                }
                Some(End::Outcome(Outcome::Failed(error)))
                    if matches!(error.certainty(), Certainty::NotSent | Certainty::Rejected)
                        && !copies.is_empty() =>
                {
                    let text = format!("{}, but it is stored: {error:?}", error.certainty());
                    return Err(said(text));
                }
                Some(End::Outcome(Outcome::Replied(reply))) => {
                    let id = reply.properties.get(property::CORRELATION_ID);
                    let asked = self.book.asked.get(id.unwrap_or_default());
                    check_reply(reply, asked, key).map_err(said)?;
                    if copies.is_empty() {
                        return Err(said("replied to, but it is not stored".to_owned()));
                    }
                }
                Some(End::Outcome(Outcome::Failed(error)))
                    if error.certainty() == Certainty::Stored
                        && (copies.is_empty() || record.what != What::Request) =>
                {
                    return Err(said(format!("said to be stored: {error:?}")));
                }
                Some(End::Abandoned | End::Outcome(_) | End::Refused) => {}
            }
        }
        Ok(())
    }

    fn check_copies(
        &self,
        record: &Record,
        expected: &Expected,
        copies: &[Copy],
    ) -> Result<(), String> {
        if self.book.timed.contains(&expected.unique_key) {
            let is_sent = matches!(record.end, Some(End::Outcome(Outcome::Sent(_))));
            return match copies.is_empty() && !is_sent {
                true => Ok(()),
                false => Err("it has a timer, which this broker ignored".to_owned()),
            };
        }
        // None of the faults stores anything twice by itself.
        let once = self.config.retry == Retry::NotAfterWrite
            && !self.config.retry_other_broker_when_not_stored;
        if once && copies.len() > 1 {
            return Err(format!("stored {} times", copies.len()));
        }
        if copies.len() > record.carried.len() {
            return Err(format!("sent less often than stored, {}", copies.len()));
        }
        for Copy { broker, message } in copies {
            let body = message.decompressed_body(1 << 20);
            let body = body.map_err(|error| error.to_string())?;
            let text = |name| message.properties.get(name).unwrap_or_default();
            let is_equal = message.topic == self.wire(&record.topic)
                && body == expected.body
                && text(property::TAGS) == expected.tag
                && text(property::KEYS) == expected.key
                && text(property::INSTANCE_ID)
                    == self.config.namespace.as_deref().unwrap_or_default()
                && message.flag == expected.flag;
            if !is_equal {
                return Err(format!("stored otherwise than sent: {message:?}"));
            }
            let carried = record.carried.iter().any(|c| {
                let is_logical = record.topic == LOGICAL;
                c.broker == *broker && (is_logical || c.queue_id == message.queue_id)
            });
            if !carried {
                let queue = message.queue_id;
                return Err(format!("on queue {queue} of {broker}, where it never went"));
            }
        }
        self.check_place(record)
    }

    /// Whoever says where, is obeyed at every try.
    fn check_place(&self, record: &Record) -> Result<(), String> {
        let (broker, queue_id) = match &record.place {
            Place::Any => return Ok(()),
            Place::Queue(broker, queue_id) => (broker.clone(), *queue_id),
            Place::Hash(hash) if record.topic == STABLE && !self.routes_shaken => {
                // Java: Math.abs(hash % n), over all brokers' queues in the order of their names.
                let queues = self.plan.stable_queues;
                let all = queues * self.plan.brokers as i32;
                let index = (hash % all).abs();
                let broker = &self.cluster.brokers()[(index / queues) as usize];
                (broker.config().name.clone(), index % queues)
            }
            Place::Hash(_) => return Ok(()),
            Place::Random | Place::Select => match record.carried.first() {
                Some(first) if record.topic == STABLE && !self.routes_shaken => {
                    (first.broker.clone(), first.queue_id)
                }
                _ => return Ok(()),
            },
        };
        for carried in &record.carried {
            if carried.broker != broker || carried.queue_id != queue_id {
                return Err(format!(
                    "for queue {queue_id} of {broker}, but sent to queue {} of {}",
                    carried.queue_id, carried.broker
                ));
            }
        }
        Ok(())
    }

    /// Messages for one queue leave in the order of the calls, as far as each left only once
    /// (DESIGN 6, order), and those that may share frames as far as they may share one.
    fn check_order(&self) -> Result<(), String> {
        let mut arrived: BTreeMap<_, Vec<(usize, usize)>> = BTreeMap::new();
        for (index, record) in self.book.records.iter().enumerate() {
            let attempts = match &record.end {
                Some(End::Outcome(Outcome::Sent(receipt))) => receipt.attempts,
                _ => continue,
            };
            let fixed = matches!(record.place, Place::Queue(..));
            if let (What::Send, true, 1, [carried]) =
                (record.what, fixed, attempts, &record.carried[..])
            {
                let kin = record.may_share.then(|| &record.messages[0].tag);
                let queue = (
                    kin,
                    carried.wire,
                    &record.topic,
                    &carried.broker,
                    carried.queue_id,
                );
                let turns = arrived.entry(queue).or_default();
                turns.push((index, carried.turn));
            }
        }
        for (queue, turns) in arrived {
            // Two that share a frame have one turn.
            if !turns.is_sorted_by_key(|(_, turn)| *turn) {
                return Err(format!("sent out of turn on {queue:?}: {turns:?}"));
            }
        }
        Ok(())
    }
}

fn check_receipt(
    record: &Record,
    place: usize,
    receipt: &SendReceipt,
    copies: &[Copy],
) -> Result<(), String> {
    let keys: Vec<_> = record.messages.iter().map(|m| &*m.unique_key).collect();
    if receipt.message_id != keys.join(",") {
        return Err(format!("confirmed as {}", receipt.message_id));
    }
    let offset = receipt.queue_offset + place as i64;
    let confirmed = copies.iter().find(|copy| {
        // A logical queue's number is not that of the broker's own queue; its place tells it.
        let is_its_queue = match record.topic == LOGICAL {
            true => receipt.offset_message_id == copy.message.offset_message_id().to_string(),
            false => copy.message.queue_id == receipt.queue.id,
        };
        copy.broker == *receipt.queue.broker && is_its_queue && copy.message.queue_offset == offset
    });
    let Some(confirmed) = confirmed else {
        return Err(format!("confirmed, but not stored there: {receipt:?}"));
    };
    let id = confirmed.message.offset_message_id().to_string();
    if receipt.offset_message_id.split(',').nth(place) != Some(&id) {
        return Err(format!("confirmed as {receipt:?}, stored as {id}"));
    }
    Ok(())
}
