//! The message trace: records of what was sent, collected under way and sent in messages of their
//! own (PROTOCOL G.4).
//!
//! A trace message is a send of the engine's own making: no caller, no permit, ordinary tries. What
//! bounds them is the number of records that wait or are on their way, and their bytes.

use std::borrow::Cow;
use std::iter::Sum;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use rocketmq_proto::trace::{PublishTrace, TraceKind};
use rocketmq_proto::{
    Properties, TopicName, TraceRecord, UniqueId, UniqueIdSeed, UniqueIds, namespace, property,
};

use crate::engine::{Engine, Timer, later};
use crate::flush::Flushes;
use crate::io::{Now, OpId, Outcome, ProducerId};
use crate::member::Member;
use crate::op::{Carrier, Kind, Op, Send, State};
use crate::prepare::Prepared;
use crate::receipt::{SendReceipt, SendStatus};
use crate::rng::Rng;
use page::Page;

mod ends;
mod page;
mod recalls;
mod settings;

pub(crate) use ends::TracedHalf;
pub use settings::{TraceConfig, TraceTopic};

/// The budget of a trace message.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes of records that wait or are on their way.
const MAX_HELD: usize = 8 * 1024 * 1024;

/// The state of the trace, of producers that have one.
#[derive(Debug)]
pub(crate) struct Trace {
    settings: TraceConfig,
    /// The group that trace messages are sent by.
    pub(crate) group: String,
    /// Records that wait, by topic.
    pages: Vec<Page>,
    /// When they leave.
    pub(crate) due: Option<Instant>,
    /// What the messages on their way carry.
    under_way: Load,
    /// The messages on their way.
    messages: Flushes,
    /// An id of a traced message: those of trace messages look like it.
    like: Option<UniqueId>,
    /// Made when the first message leaves.
    ids: Option<UniqueIds>,
}

/// Records, and their bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Load {
    records: usize,
    bytes: usize,
}

impl Trace {
    pub(crate) fn new(settings: TraceConfig, group: &str) -> Self {
        Self {
            settings,
            // Java counts its trace producers; this is the only one.
            group: format!("_INNER_TRACE_PRODUCER-{group}-PRODUCE-1"),
            pages: Vec::new(),
            due: None,
            under_way: Load::default(),
            messages: Flushes::default(),
            like: None,
            ids: None,
        }
    }

    /// Trace messages on their way.
    pub(crate) fn messages(&self) -> usize {
        self.messages.live()
    }

    /// Takes in a record of what a broker in this region did; gives out the pages that are full by now.
    ///
    /// # Errors
    /// There is no room for it, or it cannot be written.
    fn note(
        &mut self,
        region: &str,
        record: &TraceRecord<'_>,
        id: &str,
        keys: &str,
    ) -> Result<Vec<Page>, ()> {
        let topic = self.settings.topic.of(region).map_err(|_| ())?;
        self.add(topic, record, id, keys)
    }

    fn waiting(&self) -> Load {
        self.pages.iter().map(Page::load).sum()
    }

    fn add(
        &mut self,
        topic: TopicName,
        record: &TraceRecord<'_>,
        id: &str,
        keys: &str,
    ) -> Result<Vec<Page>, ()> {
        let held: Load = [self.waiting(), self.under_way].into_iter().sum();
        if held.records >= self.settings.max_waiting {
            return Err(());
        }
        self.like = self.like.or_else(|| UniqueId::parse(id).ok());
        let known = self.pages.iter().position(|page| page.topic == topic);
        let has_room = |at: &usize| self.pages[*at].has_room_for(id, keys);
        let index = known.filter(has_room).unwrap_or(self.pages.len());
        if index == self.pages.len() {
            self.pages.push(Page::new(topic));
        }
        let page = &mut self.pages[index];
        let added = page.add(record, id, keys, MAX_HELD.saturating_sub(held.bytes));
        let is_full =
            page.records >= self.settings.max_records || page.len() >= self.settings.max_bytes;
        let mut full = Vec::new();
        if is_full || page.records == 0 {
            full.push(self.pages.swap_remove(index));
        }
        if let Some(before) = known.filter(|at| *at != index && added.is_ok()) {
            full.insert(0, self.pages.swap_remove(before));
        }
        added.map(|()| full)
    }

    fn next_id(&mut self, now: Now, rng: &mut Rng, utc_offset_seconds: i32) -> UniqueId {
        let like = self.like;
        let ids = self.ids.get_or_insert_with(|| {
            UniqueIds::new(UniqueIdSeed {
                ip: like.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), UniqueId::ip),
                pid: like.map_or(0, |id| id.pid().into()),
                hash: rng.next() as u32,
                utc_offset_seconds,
            })
        });
        ids.next(now.unix_ms)
    }
}

impl Sum for Load {
    fn sum<I: Iterator<Item = Self>>(loads: I) -> Self {
        loads.fold(Self::default(), |sum, load| Self {
            records: sum.records + load.records,
            bytes: sum.bytes + load.bytes,
        })
    }
}

impl Engine {
    /// Notes a send that a broker confirmed; of a half message the receipt keeps what will be told
    /// of its end.
    pub(crate) fn trace_send(&mut self, now: Now, op: &mut Op, receipt: &mut SendReceipt) {
        let producer = op.producer;
        let member = self.members.get_mut(producer);
        if let Some(added) = member.and_then(|member| member.trace(now, op, receipt)) {
            self.traced(now, producer, added);
        }
    }

    /// Notes a request that a broker confirmed; its reply is yet to come.
    pub(crate) fn trace_request(&mut self, now: Now, id: OpId, receipt: &mut SendReceipt) {
        let not_yet = |op: &&mut Op| op.state() != Some(State::AwaitingReply);
        let Some(op) = self.ops.get_mut(id).filter(not_yet) else {
            return;
        };
        let producer = op.producer;
        let member = self.members.get_mut(producer);
        if let Some(added) = member.and_then(|member| member.trace(now, op, receipt)) {
            self.traced(now, producer, added);
        }
    }

    /// A record was taken in, or found no room.
    fn traced(&mut self, now: Now, producer: ProducerId, added: Result<Vec<Page>, ()>) {
        match added {
            Ok(full) => self.send_pages(now, producer, full),
            Err(()) => self.stats.trace_dropped += 1,
        }
        self.arm_trace(now, producer);
    }

    /// Arms the moment at which records leave, as long as some wait, and only then.
    fn arm_trace(&mut self, now: Now, producer: ProducerId) {
        let Some(trace) = self.members.trace_mut(producer) else {
            return;
        };
        match (trace.due, trace.pages.is_empty()) {
            (None, false) => {
                let at = later(now.mono, trace.settings.linger);
                trace.due = Some(at);
                self.deadlines.set(at, Timer::Trace(producer));
            }
            (Some(_), true) => {
                trace.due = None;
                self.deadlines.cancel();
            }
            _ => {}
        }
    }

    /// Records have waited long enough.
    pub(crate) fn trace_due(&mut self, now: Now, producer: ProducerId) {
        if let Some(trace) = self.members.trace_mut(producer) {
            trace.due = None;
        }
        self.flush_trace(now, producer);
    }

    /// Sends all records that wait.
    pub(crate) fn flush_trace(&mut self, now: Now, producer: ProducerId) {
        let Some(trace) = self.members.trace_mut(producer) else {
            return;
        };
        let pages = std::mem::take(&mut trace.pages);
        self.send_pages(now, producer, pages);
        self.arm_trace(now, producer);
    }

    /// Gives up the records that wait.
    pub(crate) fn drop_trace(&mut self, now: Now, producer: ProducerId) {
        let Some(trace) = self.members.trace_mut(producer) else {
            return;
        };
        self.stats.trace_dropped += trace.waiting().records as u64;
        trace.pages.clear();
        self.arm_trace(now, producer);
    }

    /// Whether a flush has to wait for trace messages; it is completed when they are over.
    pub(crate) fn waits_for_trace(&mut self, now: Now, producer: ProducerId, flush: OpId) -> bool {
        self.flush_trace(now, producer);
        self.members
            .trace_mut(producer)
            .is_some_and(|trace| trace.messages.wait(flush))
    }

    fn send_pages(&mut self, now: Now, producer: ProducerId, pages: Vec<Page>) {
        for page in pages {
            let Some(trace) = self.members.trace_mut(producer) else {
                return;
            };
            let id = trace
                .next_id(now, &mut self.rng, self.config.utc_offset_seconds)
                .to_hex();
            let (topic, load) = (page.topic.clone(), page.load());
            let (properties, body) = page.into_parts(&id);
            trace.under_way = [trace.under_way, load].into_iter().sum();
            let epoch = trace.messages.enter();
            let prepared = Prepared::own(topic, properties, body, TIMEOUT);
            let mut send = Send::new(Box::new(prepared), false, epoch);
            send.carrier = Some(Box::new(Carrier::Trace(load)));
            let op = self.ops.insert(Op {
                producer,
                since: now.mono,
                deadline: Some(later(now.mono, TIMEOUT)),
                timer: None,
                kind: Kind::Send(send),
            });
            self.find_route(now, op);
        }
    }

    /// A trace message is over.
    pub(crate) fn trace_over(
        &mut self,
        now: Now,
        producer: ProducerId,
        epoch: u64,
        load: Load,
        outcome: &Outcome,
    ) {
        match outcome {
            Outcome::Sent(_) => self.stats.traced += load.records as u64,
            _ => self.stats.trace_dropped += load.records as u64,
        }
        let Some(trace) = self.members.trace_mut(producer) else {
            return;
        };
        trace.under_way.records = trace.under_way.records.saturating_sub(load.records);
        trace.under_way.bytes = trace.under_way.bytes.saturating_sub(load.bytes);
        for flush in trace.messages.leave(epoch) {
            self.finish(now, flush, Outcome::Done);
        }
    }

    /// What must hold of the trace, for tests.
    pub(crate) fn check_trace(&self) -> Result<(), String> {
        for (producer, member) in self.members.iter() {
            let own = self.ops.iter().filter(|(_, op)| op.producer == producer);
            let carriers = own.filter_map(|(_, op)| op.as_send()?.carrier.as_deref());
            let loads = carriers.filter_map(|carrier| match carrier {
                Carrier::Trace(load) => Some(*load),
                Carrier::Batch(_) => None,
            });
            let loads: Vec<_> = loads.collect();
            let trace = member.trace.as_ref();
            let known = trace.map(|trace| (trace.messages(), trace.under_way));
            if (loads.len(), loads.iter().copied().sum()) != known.unwrap_or_default() {
                return Err(format!("trace messages with {loads:?}: {trace:?}"));
            }
            let Some(trace) = trace else { continue };
            let held: Load = [trace.waiting(), trace.under_way].into_iter().sum();
            if held.records > trace.settings.max_waiting || held.bytes > MAX_HELD {
                return Err(format!("more trace records than there may be: {trace:?}"));
            }
            if trace.due.is_some() != (trace.waiting().records > 0) {
                return Err(format!("trace records wait for nothing: {trace:?}"));
            }
        }
        Ok(())
    }
}

impl Member {
    /// Writes the record of a confirmed send (G.4, "Pub"), if it is to be traced; gives out the
    /// messages that are full by now.
    fn trace(
        &mut self,
        now: Now,
        op: &mut Op,
        receipt: &mut SendReceipt,
    ) -> Option<Result<Vec<Page>, ()>> {
        let trace = self.trace.as_mut()?;
        let since = op.since;
        let send = op.as_send_mut()?;
        let prepared = &mut send.prepared;
        let own_topic = namespace::unwrap_any(&prepared.topic);
        if !receipt.trace_on || trace.settings.topic.covers(&own_topic) {
            return None;
        }
        let attempt = send.attempt.as_ref();
        let address = attempt.and_then(|attempt| attempt.address());
        let began = attempt.map_or(since, |attempt| attempt.began);
        let cost_ms = now.mono.saturating_duration_since(began).as_millis() as u64;
        // Lent, not copied.
        let properties = Properties::from_wire(std::mem::take(&mut prepared.properties));
        let keys = properties.get(property::KEYS);
        let record = TraceRecord::Publish(PublishTrace {
            timestamp: now.unix_ms.saturating_sub(cost_ms) as i64,
            region: Some(Cow::Borrowed(&receipt.region)),
            group: namespace::unwrap_any(&self.config.group),
            topic: own_topic,
            message_id: Some(Cow::Borrowed(&receipt.message_id)),
            tags: properties.get(property::TAGS).map(Cow::Borrowed),
            keys: keys.map(Cow::Borrowed),
            store_host: address.map(|address| Cow::Borrowed(address.as_str())),
            body_len: i32::try_from(prepared.body.len()).unwrap_or(i32::MAX),
            cost_ms: cost_ms as i64,
            kind: kind_of(&properties),
            offset_message_id: Some(Cow::Borrowed(&receipt.offset_message_id)),
            success: receipt.status == SendStatus::SendOk,
        });
        let keys = keys.unwrap_or_default();
        let added = trace.note(&receipt.region, &record, &receipt.message_id, keys);
        drop(record);
        receipt.half = TracedHalf::sent(prepared.sys_flag, &receipt.region, &properties);
        prepared.properties = properties.into_wire();
        Some(added)
    }
}

/// What Java calls a message in its records (E.10, kernel steps).
fn kind_of(properties: &Properties) -> TraceKind {
    let mut kind = TraceKind::Normal;
    for (name, value) in properties.iter() {
        match name {
            property::DELAY | property::START_DELIVER_TIME => return TraceKind::Delay,
            property::TRAN_MSG if value == "true" => kind = TraceKind::TransactionHalf,
            _ => {}
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_kind_of_message_it_was_as_java_does() {
        let rows = [
            ("TAGS\u{1}a", TraceKind::Normal),
            ("TRAN_MSG\u{1}true", TraceKind::TransactionHalf),
            ("TRAN_MSG\u{1}false", TraceKind::Normal),
            ("DELAY\u{1}3", TraceKind::Delay),
            ("__STARTDELIVERTIME\u{1}1", TraceKind::Delay),
            ("DELAY\u{1}3\u{2}TRAN_MSG\u{1}true", TraceKind::Delay),
        ];
        for (properties, kind) in rows {
            assert_eq!(
                kind_of(&Properties::from_wire(properties)),
                kind,
                "{properties:?}"
            );
        }
    }
}
