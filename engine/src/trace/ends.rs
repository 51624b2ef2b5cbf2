//! What the trace tells of a half message after its confirmation: how its transaction ended
//! (PROTOCOL G.4).

use std::borrow::Cow;
use std::sync::Arc;

use rocketmq_proto::trace::{DEFAULT_REGION, EndTransactionTrace, TraceKind};
use rocketmq_proto::{Properties, SysFlag, TraceRecord, namespace, property};

use super::page::Page;
use crate::engine::Engine;
use crate::io::Now;
use crate::member::Member;
use crate::op::Op;

/// Of a half message what the record of its end tells. Only producers with a trace have it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TracedHalf {
    region: String,
    tags: Option<String>,
    keys: Option<String>,
}

impl TracedHalf {
    /// Of one that was confirmed, if it is one.
    pub(super) fn sent(sys_flag: i32, region: &str, properties: &Properties) -> Option<Arc<Self>> {
        let is_half = SysFlag(sys_flag).contains(SysFlag::TRANSACTION_PREPARED);
        is_half.then(|| Self::new(region, properties))
    }

    /// Of one that a broker asks about, as it stored it; `None` when it wants no trace of it.
    fn stored(properties: &Properties) -> Option<Arc<Self>> {
        let region = properties.get(property::MSG_REGION);
        let region = region.filter(|region| !region.is_empty());
        let is_traced = properties.get(property::TRACE_SWITCH) != Some("false");
        is_traced.then(|| Self::new(region.unwrap_or(DEFAULT_REGION), properties))
    }

    fn new(region: &str, properties: &Properties) -> Arc<Self> {
        let text = |name| properties.get(name).map(str::to_owned);
        Arc::new(Self {
            region: region.to_owned(),
            tags: text(property::TAGS),
            keys: text(property::KEYS),
        })
    }
}

impl Engine {
    /// Notes the end of a transaction that was written.
    pub(crate) fn trace_end(&mut self, now: Now, op: &Op) {
        let member = self.members.get_mut(op.producer);
        if let Some(added) = member.and_then(|member| member.trace_end(now, op)) {
            self.traced(now, op.producer, added);
        }
    }
}

impl Member {
    /// What is to be told of a half message that a broker asks about, when its answer is traced.
    pub(crate) fn traced_half(&self, topic: &str, half: &Properties) -> Option<Arc<TracedHalf>> {
        let trace = self.trace.as_ref()?;
        let is_trace = trace.settings.topic.covers(&namespace::unwrap_any(topic));
        if is_trace {
            return None;
        }
        TracedHalf::stored(half)
    }

    fn trace_end(&mut self, now: Now, op: &Op) -> Option<Result<Vec<Page>, ()>> {
        let send = op.as_send()?;
        let end = send.prepared.end.as_ref()?;
        let half = end.half.as_ref()?;
        let trace = self.trace.as_mut()?;
        // A listener may answer when the last records have left.
        if self.closing.as_ref().is_some_and(|c| !c.is_draining()) {
            return Some(Err(()));
        }
        let address = send.attempt.as_ref().and_then(|a| a.address());
        // Java calls a transaction by the unique id here, whatever its broker calls it.
        let id = Cow::Borrowed(&*end.message_id);
        let record = TraceRecord::EndTransaction(EndTransactionTrace {
            timestamp: now.unix_ms as i64,
            region: Some(Cow::Borrowed(&half.region)),
            group: namespace::unwrap_any(&self.config.group),
            topic: namespace::unwrap_any(&send.prepared.topic),
            message_id: Some(id.clone()),
            tags: half.tags.as_deref().map(Cow::Borrowed),
            keys: half.keys.as_deref().map(Cow::Borrowed),
            store_host: address.map(|address| Cow::Borrowed(address.as_str())),
            kind: TraceKind::TransactionCommit,
            transaction_id: Some(id),
            state: Cow::Borrowed(end.decision.state.name()),
            from_check: end.asked_on.is_some(),
        });
        let keys = half.keys.as_deref().unwrap_or_default();
        Some(trace.note(&half.region, &record, &end.message_id, keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_stored_names_its_region_and_whether_to_trace() {
        let rows = [
            ("TAGS\u{1}a", Some(DEFAULT_REGION)),
            ("MSG_REGION\u{1}", Some(DEFAULT_REGION)),
            ("MSG_REGION\u{1}north", Some("north")),
            ("MSG_REGION\u{1}north\u{2}TRACE_ON\u{1}true", Some("north")),
            ("MSG_REGION\u{1}north\u{2}TRACE_ON\u{1}false", None),
        ];
        for (properties, region) in rows {
            let half = TracedHalf::stored(&Properties::from_wire(properties));
            let seen = half.as_ref().map(|half| &*half.region);
            assert_eq!(seen, region, "{properties:?}");
        }
    }

    #[test]
    fn only_of_half_messages_something_is_kept() {
        let properties = Properties::from_wire("TAGS\u{1}a\u{2}KEYS\u{1}b c");
        assert_eq!(TracedHalf::sent(0, "r", &properties), None);
        let half = TracedHalf::sent(4, "r", &properties).unwrap();
        assert_eq!(half.tags.as_deref(), Some("a"));
        assert_eq!(half.keys.as_deref(), Some("b c"));
    }
}
