//! What the trace tells of recalls, when it is to (PROTOCOL G.4).

use std::borrow::Cow;

use rocketmq_proto::trace::RecallTrace;
use rocketmq_proto::{
    CommandView, RecallHandle, ResponseCode, TopicName, TraceRecord, namespace, property,
};

use super::page::Page;
use crate::engine::Engine;
use crate::io::{Now, ProducerId};
use crate::member::Member;

impl Engine {
    /// Notes a broker's answer to a recall.
    pub(crate) fn trace_recall(
        &mut self,
        now: Now,
        producer: ProducerId,
        (topic, handle): (&TopicName, &str),
        answer: &CommandView<'_>,
    ) {
        let member = self.members.get_mut(producer);
        let added = member.and_then(|member| member.trace_recall(now, topic, handle, answer));
        if let Some(added) = added {
            self.traced(now, producer, added);
        }
    }
}

impl Member {
    /// Whether recalls are traced.
    pub(crate) fn traces_recalls(&self) -> bool {
        let trace = self.trace.as_ref();
        trace.is_some_and(|trace| trace.settings.recalls)
    }

    /// As Java, only answers that name a region count: those of brokers that know recalls.
    fn trace_recall(
        &mut self,
        now: Now,
        topic: &TopicName,
        handle: &str,
        answer: &CommandView<'_>,
    ) -> Option<Result<Vec<Page>, ()>> {
        let region = answer.ext.get(property::MSG_REGION)?;
        let handle = RecallHandle::decode(handle).ok()?;
        let trace = self.trace.as_mut()?;
        let record = TraceRecord::Recall(RecallTrace {
            timestamp: now.unix_ms as i64,
            region: Some(Cow::Borrowed(&region)),
            group: namespace::unwrap_any(&self.config.group),
            topic: namespace::unwrap_any(topic),
            message_id: Some(Cow::Borrowed(&handle.unique_id)),
            success: answer.code == ResponseCode::SUCCESS.0,
        });
        Some(trace.note(&region, &record, &handle.unique_id, ""))
    }
}
