//! Frames out and frames in: requests get their correlation number, answers find who waits
//! (PROTOCOL A.6).

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rocketmq_proto::header::{Fields, SendMessageRequest};
use rocketmq_proto::{
    CommandView, EncodeError, Flags, Frame as ReceivedFrame, FrameLimits, Head, RequestCode,
    UsualSend, encode_head,
};

use crate::engine::Engine;
use crate::error::SendError;
use crate::event::Event;
use crate::io::{CloseReason, ConnId, Frame, FrameSeq, Now, OpId, Output, ProducerId};
use crate::member::Members;
use crate::naming::{Extra, WithExtra};
use crate::op::{Carrier, State};
use crate::pending::Waiter;
use crate::prepare::Prepared;
use crate::seal::{self, Seal};

/// Heads are written into pieces of this size, one after the other.
const HEAD_CHUNK: usize = 16 * 1024;

impl Engine {
    /// Writes the frame of a send's present try.
    pub(crate) fn transmit_send(&mut self, now: Now, id: OpId, conn: ConnId) {
        if !self.may_carry(now, id, conn) {
            return;
        }
        let Some(op) = self.ops.get(id) else { return };
        let Some(send) = op.as_send() else { return };
        let Some(attempt) = &send.attempt else { return };
        let prepared = &send.prepared;
        if prepared.end.is_some() {
            return self.transmit_end(now, id, conn);
        }
        let oneway = send.oneway;
        let usual = UsualSend {
            topic: prepared.topic.as_str(),
            queue_id: attempt.queue_id,
            sys_flag: prepared.sys_flag,
            born_timestamp: i64::try_from(now.unix_ms).unwrap_or(i64::MAX),
            flag: prepared.flag,
            properties: &prepared.properties,
            broker_name: &attempt.broker.name,
        };
        let code = match (prepared.batch, prepared.reply) {
            (true, _) => RequestCode::SEND_BATCH_MESSAGE,
            (false, true) => RequestCode::SEND_REPLY_MESSAGE_V2,
            (false, false) => RequestCode::SEND_MESSAGE_V2,
        };
        let body = prepared.body.clone();
        let opaque = self.pending.next_opaque();
        let flags = if oneway {
            Flags::ONEWAY
        } else {
            Flags::REQUEST
        };
        let is_trace = matches!(send.carrier.as_deref(), Some(Carrier::Trace(_)));
        let heads = self.members.send_heads(op.producer);
        let heads = heads.filter(|_| prepared.is_usual() && !is_trace);
        let written = if let Some(heads) = heads {
            write_head(&self.config, &mut self.heads, |out, limits| {
                heads.encode(out, opaque, flags, &usual, body.len(), limits)
            })
        } else {
            encode(
                (&self.config, &self.extra),
                &mut self.heads,
                code.0,
                opaque,
                (flags, None),
                &all_fields(&self.members, op.producer, prepared, is_trace, usual),
                &body,
            )
        };
        let head = match written {
            Ok(head) => head,
            Err(error) => return self.fail_send(now, id, SendError::from(error)),
        };
        if oneway {
            return self.give_out_oneway(id, conn, head, body);
        }
        let Some(seq) = self.push_request(conn, head, body, false) else {
            return;
        };
        self.expect_answer(conn, opaque, Waiter::Op(id), code);
        self.set_state(
            id,
            State::InFlight {
                conn,
                opaque,
                seq,
                since: now.mono,
            },
        );
    }

    /// Gives out a frame that nobody answers: it is done when it was written.
    pub(crate) fn give_out_oneway(&mut self, id: OpId, conn: ConnId, head: Bytes, body: Bytes) {
        let Some(seq) = self.push_request(conn, head, body, true) else {
            return;
        };
        if let Some(link) = self.peers.conns.get_mut(conn) {
            link.unwritten.push_back((seq, id));
        }
        self.set_state(id, State::Writing { conn, seq });
        // A frame that was given out cannot be taken back: this try has all the time there is.
        if let Some(deadline) = self.ops.get(id).and_then(|op| op.deadline) {
            self.arm_op(id, deadline);
        }
    }

    /// Writes a request of our own making and notes who waits for its answer.
    pub(crate) fn transmit_request(
        &mut self,
        conn: ConnId,
        code: RequestCode,
        header: &impl Fields,
        body: Bytes,
        waiter: Waiter,
    ) -> i32 {
        // These requests are a few hundred bytes: they cannot exceed a frame, and if they did, the
        // waiter's deadline ends it.
        let written = self.request(conn, code, header, body, waiter);
        written.map_or_else(|_| self.pending.next_opaque(), |(opaque, _)| opaque)
    }

    /// The same for a request whose size the application decides. Gives its correlation number and
    /// its frame.
    pub(crate) fn request(
        &mut self,
        conn: ConnId,
        code: RequestCode,
        header: &impl Fields,
        body: Bytes,
        waiter: Waiter,
    ) -> Result<(i32, FrameSeq), EncodeError> {
        let opaque = self.pending.next_opaque();
        let (settings, heads) = ((&*self.config, &self.extra), &mut self.heads);
        let flags = (Flags::REQUEST, None);
        let head = encode(settings, heads, code.0, opaque, flags, header, &body)?;
        let seq = self.push_request(conn, head, body, false);
        self.expect_answer(conn, opaque, waiter, code);
        Ok((opaque, seq.unwrap_or_default()))
    }

    /// Waits no longer for the answer to a request of our own making.
    pub(crate) fn forget_request(&mut self, conn: ConnId, opaque: i32) {
        if self.pending.take(conn, opaque).is_none() {
            return;
        }
        if let Some(link) = self.peers.conns.get_mut(conn) {
            link.pending = link.pending.saturating_sub(1);
        }
    }

    /// Writes the answer to a server's request.
    pub(crate) fn transmit_answer(
        &mut self,
        conn: ConnId,
        opaque: i32,
        code: i32,
        remark: Option<&str>,
        body: Bytes,
    ) {
        let head = Head {
            code,
            language: self.config.language,
            version: self.config.version,
            opaque,
            flags: Flags::RESPONSE,
            remark,
        };
        self.heads.reserve(HEAD_CHUNK.min(1024));
        // In JSON, which every server reads (PROTOCOL A.4).
        let json = rocketmq_proto::SerializeType::Json;
        let limits = self.config.frame_limits;
        if encode_head(&mut self.heads, json, &head, &(), &[], body.len(), limits).is_ok() {
            let head = self.heads.split().freeze();
            let seq = self.push_frame(conn, head, body, true, None);
            if let (Some(link), Some(seq)) = (self.peers.conns.get_mut(conn), seq) {
                link.answers.push_back(seq);
            }
        }
    }

    /// A request is sealed before it is written; an answer is not.
    fn push_request(
        &mut self,
        conn: ConnId,
        head: Bytes,
        body: Bytes,
        report: bool,
    ) -> Option<FrameSeq> {
        let seal = self.peers.conns.get(conn)?.seal.clone();
        self.push_frame(conn, head, body, report, seal)
    }

    pub(crate) fn push_frame(
        &mut self,
        conn: ConnId,
        head: Bytes,
        body: Bytes,
        report: bool,
        seal: Option<Arc<Seal>>,
    ) -> Option<FrameSeq> {
        let link = self.peers.conns.get_mut(conn)?;
        link.sent = FrameSeq(link.sent.0 + 1);
        let seq = link.sent;
        self.outputs.push_back(Output::Transmit {
            conn,
            frame: Frame {
                seq,
                head,
                body,
                report,
                seal,
            },
        });
        Some(seq)
    }

    fn expect_answer(&mut self, conn: ConnId, opaque: i32, waiter: Waiter, code: RequestCode) {
        self.pending.insert(opaque, conn, waiter, code.0);
        if let Some(link) = self.peers.conns.get_mut(conn) {
            link.pending += 1;
        }
    }

    /// Bytes arrived: takes the whole frames off their front.
    pub(crate) fn received(&mut self, now: Now, conn: ConnId, buffer: &mut BytesMut) {
        if let Some(link) = self
            .peers
            .conns
            .get_mut(conn)
            .filter(|_| !buffer.is_empty())
        {
            link.received_at = now.mono;
            let peer = link.peer;
            if let Some(peer) = self.peers.peers.get_mut(peer) {
                peer.failures = 0;
            }
        }
        if self.is_discovery(conn) {
            return self.discovery_received(now, buffer);
        }
        while let Some(link) = self.peers.conns.get_mut(conn) {
            match link.decoder.next_frame(buffer) {
                Ok(Some(frame)) => self.frame_received(now, conn, &frame),
                Ok(None) => return,
                Err(_) => self.disconnect(now, conn, CloseReason::Garbage),
            }
        }
        buffer.clear();
    }

    fn frame_received(&mut self, now: Now, conn: ConnId, frame: &ReceivedFrame) {
        let Ok(command) = frame.command() else {
            return self.disconnect(now, conn, CloseReason::Garbage);
        };
        if command.flags.is_response() {
            self.answer_received(now, conn, frame, &command);
        } else {
            self.server_request(now, conn, frame, &command);
        }
    }

    fn answer_received(
        &mut self,
        now: Now,
        conn: ConnId,
        frame: &ReceivedFrame,
        answer: &CommandView<'_>,
    ) {
        self.tell_answered(conn, answer.opaque, frame);
        let Some(waiter) = self.pending.take(conn, answer.opaque) else {
            return self.unmatched(conn, answer.opaque);
        };
        let mut is_first = false;
        if let Some(link) = self.peers.conns.get_mut(conn) {
            link.pending = link.pending.saturating_sub(1);
            is_first = link.version.is_none();
        }
        if is_first {
            self.version_told(now, conn, answer.version);
        }
        match waiter {
            Waiter::Admin(op, index) => {
                self.admin_answered(now, op, index, conn, answer, &frame.body());
            }
            // It has told the version, if it was the first.
            Waiter::Heartbeat => {}
            Waiter::Lookup(asked) => {
                let (lookup, server) = *asked;
                self.route_answered(now, lookup, &server, answer, &frame.body());
            }
            Waiter::Probe(broker) => self.probe_answered(now, broker),
            Waiter::Earlier(op) => self.earlier_answered(now, op, conn, answer),
            Waiter::Op(op) => self.send_answered(now, op, conn, answer),
            Waiter::Unregister(producer) => self.unregistered(producer),
        }
        self.close_if_left(now, conn);
    }

    /// An answer that nobody waits for: counted, told, dropped (PROTOCOL A.6).
    pub(crate) fn unmatched(&mut self, conn: ConnId, opaque: i32) {
        let link = self.peers.conns.get_mut(conn);
        if link.is_some_and(|link| link.overtaken.take(opaque)) {
            return;
        }
        self.stats.late_replies += 1;
        if let Some(address) = self.peers.address_of(conn) {
            let event = Event::LateReply {
                address: address.clone(),
                opaque,
            };
            self.outputs.push_back(Output::Event(event));
        }
    }
}

/// The header of a send that its producer's heads do not fit.
fn all_fields<'a>(
    members: &'a Members,
    producer: ProducerId,
    prepared: &Prepared,
    is_trace: bool,
    usual: UsualSend<'a>,
) -> SendMessageRequest<'a> {
    let config = members.config(producer);
    SendMessageRequest {
        producer_group: match is_trace {
            true => Cow::Borrowed(members.trace_group(producer)),
            false => config.wire_group(),
        },
        default_topic: Cow::Borrowed(config.create_topic_key.as_str()),
        default_topic_queue_nums: config.default_topic_queues,
        reconsume_times: Some(prepared.reconsume_times),
        unit_mode: Some(config.unit_mode),
        max_reconsume_times: prepared.max_reconsume_times,
        batch: Some(prepared.batch),
        ..SendMessageRequest::from(usual)
    }
}

pub(crate) fn encode(
    (config, extra): (&crate::Config, &Extra),
    heads: &mut BytesMut,
    code: i32,
    opaque: i32,
    (flags, remark): (Flags, Option<&str>),
    header: &impl Fields,
    body: &Bytes,
) -> Result<Bytes, EncodeError> {
    let head = Head {
        code,
        language: config.language,
        version: config.version,
        opaque,
        flags,
        remark,
    };
    let (ty, body_len) = (config.serialize_type, body.len());
    write_head(config, heads, |out, limits| {
        if extra.is_empty() {
            return encode_head(out, ty, &head, header, &[], body_len, limits);
        }
        let fields = WithExtra {
            fields: header,
            extra,
        };
        encode_head(out, ty, &head, &fields, &[], body_len, limits)
    })
}

/// Has a head written behind the others, and splits it off.
fn write_head(
    config: &crate::Config,
    heads: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut, FrameLimits) -> Result<(), EncodeError>,
) -> Result<Bytes, EncodeError> {
    if heads.capacity() < 1024 {
        heads.reserve(HEAD_CHUNK);
    }
    let mut limits = config.frame_limits;
    limits.max_frame_len = limits.max_frame_len.saturating_sub(seal::room(config));
    write(heads, limits)?;
    Ok(heads.split().freeze())
}
