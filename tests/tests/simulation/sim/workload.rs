//! What the application does: sends of every kind, questions, second thoughts.

use std::time::Duration;

use bytes::Bytes;
use rocketmq_engine::proto::{Batch, Message, MessageQueue, java_hash, property};
use rocketmq_engine::{Answer, Ask, OpId, Operation, Outcome, Prepared, SendErrorKind, SendStatus};

use rocketmq_testkit::Flavour;

use super::book::{End, Expected, Place, Record, What};
use super::world::{Event, GOODBYE, World, topic};

/// A topic whose route never changes.
pub(super) const STABLE: &str = "stable";
/// A topic whose route changes all the time.
pub(super) const FLAPPY: &str = "flappy";
/// A topic with an order configuration, which also names a broker that does not exist.
pub(super) const ORDERED: &str = "ordered";

impl World {
    /// One call, drawn.
    pub(super) fn call(&mut self) -> Result<(), String> {
        self.caller = self.draw_caller();
        let called = self.call_anything();
        self.caller = self.producer;
        called
    }

    fn call_anything(&mut self) -> Result<(), String> {
        match self.rng.below(100) {
            0..4 => {
                let (topic, timeout) = (topic(self.draw_topic()), self.draw_timeout());
                self.submit(Operation::PublishQueues { topic, timeout }, None, true)?;
            }
            4..8 => {
                let (topic, timeout) = (topic(self.draw_topic()), self.draw_timeout());
                self.submit(Operation::Ready { topic, timeout }, None, true)?;
            }
            8..12 => self.submit(Operation::Flush, None, true)?,
            12 | 97..100 => self.ask_admin()?,
            12..15 => self.send_invalid()?,
            15..24 => self.send_batch()?,
            52..57 => self.send_request()?,
            57..60 => self.send_logical()?,
            40..52 => self.send_half()?,
            24..40 if self.config.auto_batch.is_some() => self.send_several()?,
            _ => self.send_one()?,
        }
        if self.rng.chance(150) {
            let waiting = self.book.ops_waiting();
            if !waiting.is_empty() {
                let op = self.rng.pick(&waiting);
                let after = self.rng.time(Duration::from_millis(40));
                self.schedule(after, Event::Abandon(op));
            }
        }
        Ok(())
    }

    pub(super) fn abandon(&mut self, op: OpId) -> Result<(), String> {
        let now = self.moment();
        let was_live = self.book.is_live(op);
        let given_back = self.engine.abandon(now, op).is_some();
        self.trace.line(self.now, || {
            format!("< abandon {op}: given back: {given_back}")
        });
        if given_back {
            return self.book.abandoned(op);
        }
        if was_live && !self.book.live_record(op)?.admitted {
            return Err(format!("{op} waits for a permit but was not given back"));
        }
        Ok(())
    }

    /// The engine asks the application's closure; some closures never come back.
    pub(super) fn asked(&mut self, op: OpId, ask: &Ask) -> Result<(), String> {
        let Ask::SelectQueue { queues, .. } = ask;
        let record = self.book.live_record(op)?;
        if record.place != Place::Select {
            return Err(format!("{op} asks though nobody has to choose"));
        }
        if queues.is_empty() {
            return Err(format!("{op} asks which of no queues to take"));
        }
        let count = queues.len();
        let answer = match self.rng.below(20) {
            0 => return Ok(()),
            1 => Answer::Panicked,
            2 => Answer::Queue(None),
            3 => Answer::Queue(Some(count + self.rng.below(3))),
            _ => Answer::Queue(Some(self.rng.below(count))),
        };
        let after = self.rng.time(Duration::from_millis(20));
        self.schedule(after, Event::Answer(op, answer));
        if self.rng.chance(100) {
            // Twice, which a driver does not do; it must not matter.
            self.schedule(after * 2, Event::Answer(op, Answer::Panicked));
        }
        Ok(())
    }

    pub(super) fn end_early(&mut self) -> Result<(), String> {
        if self.rng.chance(150) {
            self.trace.line(self.now, || "< abort".to_owned());
            let now = self.moment();
            self.book.ends(self.producer);
            if let Some(fellow) = self.fellow {
                self.book.ends(fellow);
            }
            self.engine.abort(now);
            return Ok(());
        }
        let grace = self.draw_grace();
        self.submit(Operation::Shutdown { grace }, None, true)?;
        if self.rng.chance(300) {
            self.drain()?;
            let grace = self.draw_grace();
            self.submit(Operation::Shutdown { grace }, None, true)?;
        }
        Ok(())
    }

    /// A send after the storm, by which dead connections are found out.
    pub(super) fn warm_up(&mut self) -> Result<(), String> {
        let message = Message::new(STABLE, "warm-up").timeout(Duration::from_secs(3));
        self.send(vec![message], false, Place::Any, true)
    }

    /// A send that must succeed: everything has been well for long enough (liveness).
    pub(super) fn probe(&mut self) -> Result<(), String> {
        if self.book.is_ending(self.producer) {
            return Ok(());
        }
        let live = self.book.live_sends();
        if live > 0 {
            return Err(format!("{live} sends are live though all is well"));
        }
        for _ in 0..3 {
            let message = Message::new(STABLE, "probe");
            self.send(vec![message], false, Place::Any, true)?;
        }
        Ok(())
    }

    /// Checks the probes that have completed.
    pub(super) fn check_probes(&self) -> Result<(), String> {
        let probes = self.book.records.iter().filter(|record| {
            let first = record.messages.first();
            first.is_some_and(|message| message.body == "probe")
        });
        for record in probes {
            match &record.end {
                None => {}
                Some(End::Outcome(Outcome::Sent(receipt)))
                    if receipt.status == SendStatus::SendOk => {}
                Some(End::Outcome(outcome)) => {
                    return Err(format!(
                        "all has been well for a while, but a send ended as {outcome:?}"
                    ));
                }
                Some(_) => return Err("all is well, but a send was refused".to_owned()),
            }
        }
        Ok(())
    }

    /// Submits an operation and enters it into the book.
    pub(super) fn submit(
        &mut self,
        operation: Operation,
        record: Option<Record>,
        may_wait: bool,
    ) -> Result<(), String> {
        let mut record = record.unwrap_or_else(|| self.record_of(&operation));
        self.trace.line(self.now, || {
            let keys = record.messages.iter().map(|m| m.unique_key.as_str());
            let (keys, topic) = (keys.collect::<Vec<_>>().join(","), &record.topic);
            format!(
                "< submit {:?} {topic} {:?} {keys}",
                record.what, record.place
            )
        });
        if record.what == What::Shutdown {
            self.book.ends(self.caller);
        }
        let now = self.moment();
        let accepted = if may_wait {
            self.engine.submit(now, self.caller, operation)
        } else {
            self.engine.try_submit(now, self.caller, operation)
        };
        match accepted {
            Ok(accepted) => {
                self.trace.line(self.now, || format!("  = {accepted:?}"));
                record.admitted = accepted.admitted;
                self.book.accepted(accepted.op, record)
            }
            Err(rejected) => {
                self.trace
                    .line(self.now, || format!("  = refused: {rejected}"));
                self.book.refused(record)
            }
        }
    }

    pub(super) fn record_of(&self, operation: &Operation) -> Record {
        let name_of_admin;
        let (what, name, by) = match operation {
            Operation::Admin { request, timeout } => {
                name_of_admin = Self::topic_of(request);
                (What::Admin, name_of_admin.as_str(), Some(*timeout))
            }
            Operation::Flush => (What::Flush, "", None),
            Operation::PublishQueues { topic, timeout } => {
                (What::Queues, topic.as_str(), Some(*timeout))
            }
            Operation::Ready { topic, timeout } => (What::Ready, topic.as_str(), Some(*timeout)),
            Operation::Shutdown { grace } => {
                // Ticks may be late at the end of the grace and at the end of the goodbye.
                let by = *grace + GOODBYE + self.plan.lateness;
                (What::Shutdown, "", Some(by))
            }
            Operation::EndTransaction(_) => (What::End, "", Some(self.config.send_timeout)),
            Operation::Oneway(_) | Operation::Send(_) => (What::Send, "", None),
        };
        Record {
            producer: self.caller,
            what,
            topic: name.to_owned(),
            messages: Vec::new(),
            place: Place::Any,
            by: by.map(|by| self.now + by),
            admitted: false,
            may_share: false,
            half: false,
            carried: Vec::new(),
            end: None,
        }
    }

    fn send_one(&mut self) -> Result<(), String> {
        let name = self.draw_topic();
        let oneway = self.rng.chance(150);
        let body = self.draw_body();
        let mut message = Message::new(name, body);
        if self.config.auto_batch.is_none() || self.rng.chance(200) {
            // A message with a budget of its own shares no frame with others.
            message = message.timeout(self.draw_timeout());
        }
        let mut place = Place::Any;
        match self.rng.below(10) {
            0..2 => {
                let key = format!("shard-{}", self.rng.below(9));
                place = Place::Hash(java_hash(&key));
                message = message.by(key.as_str());
            }
            2..4 => {
                let (broker, id) = self.draw_queue();
                place = Place::Queue(broker.clone(), id);
                message = message.to(MessageQueue::new(topic(name), broker, id));
            }
            4 => {
                place = Place::Select;
                message = message.select(|_, _| None);
            }
            5 => {
                place = Place::Random;
                message = message.at_random();
            }
            _ => {}
        }
        if self.plan.flavour == Flavour::V4_9 && self.rng.chance(40) {
            message = message.deliver_after(Duration::from_secs(1));
        }
        let may_wait = self.rng.chance(850);
        self.send(vec![message], oneway, place, may_wait)
    }

    /// Messages that may share a frame.
    fn send_several(&mut self) -> Result<(), String> {
        let name = self.draw_topic();
        for _ in 0..self.rng.within(2, 9) {
            let message = Message::new(name, self.draw_body());
            self.send(vec![message], false, Place::Any, true)?;
        }
        Ok(())
    }

    fn send_batch(&mut self) -> Result<(), String> {
        let name = self.draw_topic();
        let timeout = self.draw_timeout();
        let count = self.rng.within(2, 5);
        let mut place = Place::Any;
        let queue = self.rng.chance(300).then(|| self.draw_queue());
        let messages = (0..count).map(|_| {
            let message = Message::new(name, self.draw_body()).timeout(timeout);
            match &queue {
                Some((broker, id)) => {
                    place = Place::Queue(broker.clone(), *id);
                    message.to(MessageQueue::new(topic(name), broker.as_str(), *id))
                }
                None => message,
            }
        });
        let messages = messages.collect();
        self.send(messages, false, place, true)
    }

    pub(super) fn send(
        &mut self,
        messages: Vec<Message>,
        oneway: bool,
        place: Place,
        may_wait: bool,
    ) -> Result<(), String> {
        let messages: Vec<_> = messages
            .into_iter()
            .map(|message| {
                let number = self.book.records.len() as i32;
                message
                    .tag(format!("tag-{}", number / 8 % 3))
                    .key(format!("key-{number}"))
                    .flag(number)
            })
            .collect();
        let mut expected: Vec<_> = messages.iter().map(expected).collect();
        let timeout = messages[0].own_timeout();
        let timed = messages[0]
            .properties()
            .get(property::TIMER_DELAY_MS)
            .is_some();
        let may_share = !timed
            && self.config.auto_batch.is_some()
            && timeout.is_none()
            && matches!(place, Place::Any | Place::Queue(..));
        let name = messages[0].topic().to_string();
        let unix_ms = self.unix_ms();
        let (config, ids) = (self.config.clone(), &mut self.ids);
        let is_batch = messages.len() > 1;
        let mut next_id = || ids.next(unix_ms);
        let prepared = if is_batch {
            let batch = Batch::new(messages).expect("the workload follows the rules");
            Prepared::batch(&config, batch, next_id)
        } else {
            let message = messages.into_iter().next().expect("there is one");
            Prepared::message(&config, message, &mut next_id)
        };
        let prepared = prepared.expect("the workload follows the rules");
        let keys = prepared.message_id().split(',');
        for (expected, key) in expected.iter_mut().zip(keys) {
            expected.unique_key = key.to_owned();
            if timed {
                self.book.timed.insert(key.to_owned());
            }
        }
        let record = Record {
            producer: self.caller,
            what: if oneway { What::Oneway } else { What::Send },
            topic: name,
            messages: expected,
            place,
            by: Some(self.now + timeout.unwrap_or(self.config.send_timeout)),
            admitted: false,
            may_share: may_share && !is_batch && !oneway,
            half: false,
            carried: Vec::new(),
            end: None,
        };
        let prepared = Box::new(prepared);
        let operation = if oneway {
            Operation::Oneway(prepared)
        } else {
            Operation::Send(prepared)
        };
        self.submit(operation, Some(record), may_wait)
    }

    /// Messages that break a rule are refused before they come near the engine (PROTOCOL E.4).
    fn send_invalid(&mut self) -> Result<(), String> {
        let message = match self.rng.below(4) {
            0 => Message::new("x".repeat(128), "body"),
            1 => Message::new("a topic", "body"),
            2 => Message::new("SCHEDULE_TOPIC_XXXX", "body"),
            _ => Message::new(STABLE, Bytes::new()),
        };
        let unix_ms = self.unix_ms();
        let ids = &mut self.ids;
        match Prepared::message(&self.config, message, || ids.next(unix_ms)) {
            Err(error) if error.kind() == SendErrorKind::InvalidMessage => Ok(()),
            other => Err(format!("a message against the rules led to {other:?}")),
        }
    }

    pub(super) fn draw_topic(&mut self) -> &'static str {
        match self.rng.below(20) {
            0..9 => STABLE,
            9..13 => FLAPPY,
            13..15 => ORDERED,
            15..17 => "unheard-1",
            17..19 => "unheard-2",
            _ => "unheard-3",
        }
    }

    pub(super) fn draw_body(&mut self) -> Bytes {
        let length = match self.rng.below(40) {
            0..20 => self.rng.below(40),
            20..38 => self.rng.below(400),
            38 => 5_000,
            _ => 18_000,
        };
        // Told apart by what is drawn for them, and compressible.
        let mut body = format!("{:016x} ", self.rng.next());
        body.extend(std::iter::repeat_n('o', length));
        body.into()
    }

    pub(super) fn draw_queue(&mut self) -> (String, i32) {
        let brokers = self.cluster.brokers();
        let broker = self.rng.below(brokers.len());
        let broker = brokers[broker].config().name.clone();
        let queues = self.plan.stable_queues as usize;
        // Now and then one that does not exist.
        let odd = usize::from(self.rng.chance(50));
        (broker, self.rng.below(queues + odd) as i32)
    }

    pub(super) fn draw_timeout(&mut self) -> Duration {
        let ms = self.rng.pick(&[20, 150, 600, 3_000]);
        Duration::from_millis(ms)
    }

    pub(super) fn draw_grace(&mut self) -> Duration {
        let ms = self.rng.pick(&[0, 10, 300, 5_000]);
        Duration::from_millis(ms)
    }
}

pub(super) fn expected(message: &Message) -> Expected {
    let text = |name| {
        message
            .properties()
            .get(name)
            .unwrap_or_default()
            .to_owned()
    };
    Expected {
        unique_key: String::new(),
        body: message.body().clone(),
        tag: text("TAGS"),
        key: text("KEYS"),
        flag: message.flag_value(),
    }
}
