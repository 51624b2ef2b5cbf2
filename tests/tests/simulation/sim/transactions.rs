//! Transactions: half messages, local transactions that take their time, and brokers that ask meanwhile. The listener
//! answers from what the local transactions wrote down, as one with a database does.

use std::collections::BTreeMap;
use std::time::Duration;

use rocketmq_engine::proto::{Message, property};
use rocketmq_engine::{
    Certainty, Decision, OpId, Operation, Outcome, Prepared, SendReceipt, SendStatus,
    TransactionState,
};
use rocketmq_testkit::ServerNow;

use super::book::{End, Expected, Place, Record, What};
use super::truth::Copy;
use super::world::{Event, World};

/// What local transactions wrote down, by the unique id of their half message.
pub(super) type Ledger = BTreeMap<String, TransactionState>;

impl World {
    pub(super) fn send_half(&mut self) -> Result<(), String> {
        // The listener is this one's.
        self.caller = self.producer;
        let name = self.draw_topic();
        let number = self.book.records.len() as i32;
        let body = self.draw_body();
        let timeout = self.draw_timeout();
        let message = Message::new(name, body.clone()).timeout(timeout);
        let message = message.tag("half").key(format!("half-{number}"));
        let unix_ms = self.unix_ms();
        let (config, ids) = (self.config.clone(), &mut self.ids);
        let half = Prepared::half(&config, message.delay_level(3), || ids.next(unix_ms));
        let half = half.expect("the workload follows the rules");
        let expected = Expected {
            unique_key: half.message_id().to_owned(),
            body,
            tag: "half".to_owned(),
            key: format!("half-{number}"),
            flag: 0,
        };
        let record = Record {
            producer: self.caller,
            what: What::Send,
            topic: name.to_owned(),
            messages: vec![expected],
            place: Place::Any,
            by: Some(self.now + timeout),
            admitted: false,
            may_share: false,
            half: true,
            carried: Vec::new(),
            end: None,
        };
        self.submit(Operation::Send(Box::new(half)), Some(record), true)
    }

    /// An operation is over: a half message that is stored has its local transaction run.
    pub(super) fn half_stored(&mut self, op: OpId, outcome: &Outcome) -> Result<(), String> {
        let Outcome::Sent(receipt) = outcome else {
            return Ok(());
        };
        if !self.book.live_record(op)?.half {
            return Ok(());
        }
        // Some never come to an end.
        if !self.rng.chance(50) {
            let after = self.rng.time(Duration::from_millis(400));
            self.schedule(after, Event::Local(receipt.clone()));
        }
        Ok(())
    }

    /// A local transaction is through.
    pub(super) fn local_over(&mut self, receipt: &SendReceipt) -> Result<(), String> {
        self.caller = self.producer;
        let verdict = match receipt.status {
            SendStatus::SendOk => self
                .rng
                .pick(&[TransactionState::Commit, TransactionState::Rollback]),
            _ => TransactionState::Rollback,
        };
        self.ledger.insert(receipt.message_id.to_string(), verdict);
        let decision = self.draw_decision(verdict);
        let end = Prepared::end_of(&self.config, receipt, decision);
        let end = end.map_err(|error| format!("a receipt that ends nothing: {error}"))?;
        self.submit(Operation::EndTransaction(Box::new(end)), None, true)
    }

    /// A broker looks through its half messages.
    pub(super) fn ask_about_halves(&mut self) {
        let now = ServerNow {
            unix_ms: self.unix_ms(),
        };
        let broker = self.rng.below(self.cluster.brokers().len());
        let mut actions = Vec::new();
        let asked = self.cluster.brokers_mut()[broker].check_halves(now, &mut actions);
        self.note(|| format!("broker {broker} asks about {asked} half messages"));
        for action in actions {
            self.act(action);
        }
    }

    /// A listener takes the next question.
    pub(super) fn take_check(&mut self) -> Result<(), String> {
        self.caller = self.producer;
        let now = self.moment();
        let Some(check) = self.engine.take_check(now, self.producer) else {
            return Ok(());
        };
        let op = check.op;
        let half = check
            .into_message()
            .map_err(|why| format!("a half message cannot be read: {why:?}"))?;
        self.trace.line(self.now, || {
            format!("< takes {op} for {}", half.message_id())
        });
        let mut record = self.record_of(&Operation::Flush);
        record.what = What::Check;
        record.admitted = true;
        record.by = Some(self.now + self.config.check_timeout);
        self.book.accepted(op, record)?;
        // Some never answer.
        if !self.rng.chance(100) {
            let after = self.rng.time(Duration::from_millis(300));
            self.schedule(after, Event::Decide(op, half.message_id().into()));
        }
        Ok(())
    }

    /// The listener answers.
    pub(super) fn decide(&mut self, op: OpId, message_id: &str) {
        let known = self.ledger.get(message_id).copied();
        let decision = self.draw_decision(known.unwrap_or(TransactionState::Unknown));
        self.trace
            .line(self.now, || format!("< decides {op}: {decision:?}"));
        let now = self.moment();
        self.engine.decided(now, op, decision);
    }

    /// What is said of it; now and then less than is known.
    fn draw_decision(&mut self, verdict: TransactionState) -> Decision {
        match self.rng.below(10) {
            0 => TransactionState::Unknown.into(),
            1 => Decision::failed("the database is away"),
            _ => verdict.into(),
        }
    }

    /// A half message is delivered if it was committed, and never otherwise.
    pub(super) fn check_half(&self, record: &Record, copies: &[Copy]) -> Result<(), String> {
        let expected = &record.messages[0];
        let verdict = self.ledger.get(&expected.unique_key);
        let own_topic = self.wire(&record.topic);
        for copy in copies.iter().filter(|copy| copy.message.topic == own_topic) {
            if verdict != Some(&TransactionState::Commit) {
                return Err(format!("delivered though {verdict:?}"));
            }
            let body = copy.message.decompressed_body(1 << 20);
            let text = |name| copy.message.properties.get(name).unwrap_or_default();
            let is_equal = body.is_ok_and(|body| body == expected.body)
                && text(property::TAGS) == expected.tag
                && text(property::KEYS) == expected.key;
            if !is_equal {
                return Err(format!("delivered otherwise than sent: {:?}", copy.message));
            }
        }
        match &record.end {
            Some(End::Abandoned | End::Refused) if !copies.is_empty() => {
                Err("it was given back, but is stored".to_owned())
            }
            Some(End::Outcome(Outcome::Sent(receipt))) => {
                let brokers = self.cluster.brokers().iter();
                let mut of_name = brokers.filter(|b| b.config().name == *receipt.queue.broker);
                let has_it = of_name.any(|broker| {
                    let mut halves = broker.halves();
                    halves.any(|half| half.unique_key == expected.unique_key)
                });
                let why = || format!("confirmed, but not there: {receipt:?}");
                has_it.then_some(()).ok_or_else(why)
            }
            Some(End::Outcome(Outcome::Failed(error)))
                if error.certainty() != Certainty::Unknown && !copies.is_empty() =>
            {
                let certainty = error.certainty();
                Err(format!("{certainty}, but it is stored: {error:?}"))
            }
            Some(_) => Ok(()),
            None => Err("it never ended".to_owned()),
        }
    }
}
