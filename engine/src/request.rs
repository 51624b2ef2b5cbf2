//! Requests that a consumer replies to: a send that stays under way after its answer, until the
//! reply, a failure or its deadline, whichever comes first (PROTOCOL G.3, B.7).
//!
//! It keeps its permit all that time: `max_in_flight` bounds the requests that are open.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use rocketmq_proto::header::{ReplyMessageRequest, host_address};
use rocketmq_proto::{
    CommandView, Frame, Properties, ResponseCode, StoredMessage, StoredVersion, SysFlag, property,
    reply_topic,
};
use rustc_hash::FxHashMap;

use crate::correlation::CorrelationId;
use crate::engine::Engine;
use crate::error::{Certainty, SendError, SendErrorKind};
use crate::event::Event;
use crate::io::{ConnId, Now, OpId, Outcome, Output};
use crate::op::{Op, State};
use crate::receipt::SendReceipt;
use crate::route::TopicId;

/// Answers to sends that are remembered on one connection as overtaken by the reply.
const MAX_OVERTAKEN: usize = 1024;
/// So much of an id that a peer sent is told.
const MAX_SHOWN: usize = 255;

/// Who waits for which reply.
#[derive(Debug, Default)]
pub(crate) struct Requests(FxHashMap<CorrelationId, OpId>);

/// Answers that are still to come, to sends that are over since the reply was quicker: dropped
/// without a word when they come. Of the many that may never come the oldest are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Overtaken(VecDeque<i32>);

impl Requests {
    pub(crate) fn expect(&mut self, id: CorrelationId, op: OpId) {
        self.0.insert(id, op);
    }

    pub(crate) fn forget(&mut self, id: CorrelationId, op: OpId) {
        if self.0.get(&id) == Some(&op) {
            self.0.remove(&id);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&CorrelationId, &OpId)> {
        self.0.iter()
    }
}

impl Overtaken {
    fn note(&mut self, opaque: i32) {
        if self.0.len() == MAX_OVERTAKEN {
            self.0.pop_front();
        }
        self.0.push_back(opaque);
    }

    /// Whether this is the answer to one of them.
    pub(crate) fn take(&mut self, opaque: i32) -> bool {
        let at = self.0.iter().position(|known| *known == opaque);
        at.and_then(|at| self.0.remove(at)).is_some()
    }
}

impl Engine {
    /// A broker has the message: the end of a send, the middle of a request.
    pub(crate) fn confirmed(&mut self, now: Now, id: OpId, mut receipt: Box<SendReceipt>) {
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        let deadline = op.deadline;
        let Some(send) = op.as_send_mut() else { return };
        let is_request = send.prepared.correlation.is_some();
        if receipt.message_id.is_empty() {
            receipt.message_id = send.prepared.message_id().into();
        }
        match deadline.filter(|_| is_request) {
            None => self.finish(now, id, Outcome::Sent(receipt)),
            Some(deadline) => {
                self.trace_request(now, id, &mut receipt);
                self.set_state(id, State::AwaitingReply);
                self.arm_op(id, deadline);
            }
        }
    }

    /// No reply within the budget, although the request was stored.
    pub(crate) fn reply_missing(&mut self, now: Now, id: OpId) {
        let Some(op) = self.ops.get(id) else { return };
        let Some(send) = op.as_send() else { return };
        let text = format!(
            "the request to topic {} was stored as {}, but no reply came within {:.1?}",
            self.config.own_topic(&send.prepared.topic),
            send.prepared.message_id(),
            now.mono.saturating_duration_since(op.since)
        );
        let error = SendError::new(SendErrorKind::NoReply, Certainty::Stored, text)
            .with_attempts(send.failures().to_vec());
        self.finish(now, id, Outcome::Failed(error));
    }

    /// Makes us known to whoever may have to push the reply: all masters of the topic, and of the
    /// clusters that it is in, since the replier may choose any of them. Connecting does it: the
    /// first frame on a connection to a broker is a heartbeat (PROTOCOL E.3).
    pub(crate) fn open_for_replies(&mut self, now: Now, topic_id: TopicId) {
        let Some(topic) = self.routes.topics.get_mut(topic_id) else {
            return;
        };
        topic.wants_replies = true;
        let clusters = topic.clusters.clone();
        self.meet_brokers(now, topic_id);
        for cluster in clusters.iter() {
            let Ok(replies) = reply_topic(cluster) else {
                continue;
            };
            let id = self.routes.topic(&replies, now.mono, &mut self.rng);
            let Some(topic) = self.routes.topics.get_mut(id) else {
                continue;
            };
            topic.used_at = now.mono;
            topic.is_for_replies = id != topic_id;
            match topic.usable().is_some() {
                true => self.meet_brokers(now, id),
                false if topic.lookup.is_none() => self.refresh(now, id),
                false => {}
            }
        }
    }

    /// Sees to it that each master of the topic is connected, or will be.
    pub(crate) fn meet_brokers(&mut self, now: Now, id: TopicId) {
        let Some(publish) = self.routes.topics.get(id).and_then(|t| t.usable().cloned()) else {
            return;
        };
        for broker in publish.brokers() {
            let Some(address) = &broker.address else {
                continue;
            };
            let peer_id = self.peers.at(address);
            if let Some(peer) = self.peers.peers.get_mut(peer_id) {
                peer.is_broker = true;
            }
            let _connected = self.reach(now, peer_id);
        }
    }

    /// A broker pushes a reply. It is told that it arrived, also when nobody waits for it: that is
    /// no fault of the broker's.
    pub(crate) fn reply_pushed(
        &mut self,
        now: Now,
        conn: ConnId,
        push: &CommandView<'_>,
        frame: &Frame,
    ) {
        let read = read_push(now, push, frame);
        let (code, remark) = match read {
            Some(_) => (ResponseCode::SUCCESS, None),
            None => (
                ResponseCode::SYSTEM_ERROR,
                Some("process reply message fail"),
            ),
        };
        self.transmit_answer(conn, push.opaque, code.0, remark, Bytes::new());
        let Some((correlation, reply)) = read else {
            return;
        };
        let id = CorrelationId::parse(&correlation).and_then(|id| self.requests.0.get(&id));
        match id.copied() {
            Some(id) => self.replied(now, id, reply),
            None => self.reply_unmatched(conn, correlation),
        }
    }

    fn replied(&mut self, now: Now, id: OpId, reply: Box<StoredMessage>) {
        let Some(send) = self.ops.get(id).and_then(Op::as_send) else {
            return;
        };
        let in_flight = match send.state {
            State::InFlight {
                conn, opaque, seq, ..
            } => Some((conn, opaque, seq)),
            _ => None,
        };
        if let Some((conn, opaque, seq)) = in_flight {
            if send.tries > 1 {
                // It may be an earlier try that was replied to; this one's frame may be unwritten.
                self.hold_for_frame(now, id, conn, seq);
            }
            if let Some(link) = self.peers.conns.get_mut(conn) {
                link.overtaken.note(opaque);
            }
        }
        self.finish(now, id, Outcome::Replied(reply));
        if let Some((conn, ..)) = in_flight {
            // It may have been the last request that a server which wants us elsewhere owed us.
            self.close_if_left(now, conn);
        }
    }

    fn reply_unmatched(&mut self, conn: ConnId, correlation_id: String) {
        self.stats.unmatched_replies += 1;
        if let Some(address) = self.peers.address_of(conn) {
            let event = Event::UnmatchedReply {
                address: address.clone(),
                correlation_id: correlation_id.chars().take(MAX_SHOWN).collect(),
            };
            self.outputs.push_back(Output::Event(event));
        }
    }
}

/// The reply in a push, and the text that names its request. `None` when it cannot be read. The
/// body stays as it is: it is inflated where no lock is held.
fn read_push(
    now: Now,
    push: &CommandView<'_>,
    frame: &Frame,
) -> Option<(String, Box<StoredMessage>)> {
    const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let header: ReplyMessageRequest<'_> = push.ext.decode().ok()?;
    let properties = header.properties.unwrap_or_default();
    let mut properties = Properties::from_wire(properties.into_owned());
    let correlation = properties.get(property::CORRELATION_ID);
    let correlation = correlation.unwrap_or_default().to_owned();
    properties
        .set(property::ARRIVE_TIME, &now.unix_ms.to_string())
        .ok()?;
    let body: Bytes = frame.body();
    let reply = StoredMessage {
        version: StoredVersion::V1,
        topic: header.topic.into_owned(),
        queue_id: header.queue_id,
        queue_offset: 0,
        commit_log_offset: 0,
        flag: header.flag,
        sys_flag: SysFlag(header.sys_flag),
        body_crc: 0,
        born_timestamp: header.born_timestamp,
        born_host: host_address(&header.born_host).unwrap_or(NOWHERE),
        store_timestamp: header.store_timestamp,
        store_host: host_address(&header.store_host).unwrap_or(NOWHERE),
        reconsume_times: header.reconsume_times.unwrap_or(0),
        prepared_transaction_offset: 0,
        properties,
        body,
    };
    Some((correlation, Box::new(reply)))
}
