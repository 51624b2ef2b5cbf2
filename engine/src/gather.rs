//! Auto-batching behind the lock: sends that wait for company, the frame that carries them, and how
//! its end becomes the end of each (PROTOCOL D.8).
//!
//! A gathered send is an ordinary operation with a permit of its own. The frame is a send of the
//! engine's own making, without permit and without caller, which goes through the ordinary tries.

use std::sync::Arc;
use std::time::Instant;

use rocketmq_proto::{IdText, ResponseCode};
use rustc_hash::FxHashMap;

use crate::auto_batch::{AutoBatch, BatchKey};
use crate::engine::{Engine, later};
use crate::error::{Certainty, SendError, SendErrorKind};
use crate::io::{Now, OpId, Outcome, ProducerId};
use crate::op::{Carrier, Kind, Op, Send, State};
use crate::prepare::Prepared;
use crate::receipt::SendReceipt;

/// The batches that wait for more members. Bounded by the permits of their members.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    open: FxHashMap<Key, Open>,
    /// Bytes of all members.
    held: usize,
    /// Batches opened so far.
    opened: u64,
}

/// Only what one producer sends alike goes together.
type Key = (ProducerId, Arc<BatchKey>);

/// A batch that waits for more members. The deadline at which it leaves is armed for the first.
#[derive(Debug)]
pub(crate) struct Open {
    number: u64,
    members: Vec<OpId>,
    bytes: usize,
    until: Instant,
}

impl Engine {
    /// Begins a send that has its permit: at once, or as soon as it has company or waited for it
    /// long enough.
    pub(crate) fn start(&mut self, now: Now, id: OpId) {
        let Some(op) = self.ops.get(id) else { return };
        let settings = &self.members.config(op.producer).auto_batch;
        let Some(settings) = *settings else {
            return self.find_route(now, id);
        };
        if !self.gather(now, id, &settings) {
            self.find_route(now, id);
        }
    }

    /// Whether a send waits for company now.
    fn gather(&mut self, now: Now, id: OpId, settings: &AutoBatch) -> bool {
        let Some(op) = self.ops.get(id) else {
            return false;
        };
        let (Some(send), Some(deadline)) = (op.as_send(), op.deadline) else {
            return false;
        };
        let Some(key) = send.prepared.key.clone().filter(|_| !send.oneway) else {
            return false;
        };
        let key = (op.producer, key);
        let bytes = send.prepared.member().encoded_len();
        let patience = deadline.saturating_duration_since(now.mono) / 2;
        let is_alone =
            send.prepared.is_compressed() || bytes > settings.max_bytes || patience.is_zero();
        let together = self.gathering.open.get(&key).map_or(0, |open| open.bytes);
        if is_alone
            || together + bytes > settings.max_bytes
            || self.gathering.is_full(bytes, settings)
        {
            // What came before it leaves before it.
            self.close_batch(now, &key);
        }
        if is_alone || self.gathering.is_full(bytes, settings) {
            return false;
        }
        let until = later(now.mono, settings.linger.min(patience));
        let (lead, until) = self.gathering.add(&key, id, bytes, until);
        self.set_state(id, State::Gathered);
        self.disarm_op(id);
        if self.ops.get(lead).and_then(|op| op.timer) != Some(until) {
            self.arm_op(lead, until);
        }
        let is_ready = self
            .gathering
            .open
            .get(&key)
            .is_some_and(|open| open.bytes >= settings.max_bytes);
        if is_ready {
            self.close_batch(now, &key);
        }
        true
    }

    /// The first member of a batch has waited long enough.
    pub(crate) fn gathered_due(&mut self, now: Now, id: OpId) {
        let Some(op) = self.ops.get(id) else { return };
        if let Some(key) = op.as_send().and_then(|send| send.prepared.key.clone()) {
            let key = (op.producer, key);
            self.close_batch(now, &key);
        }
    }

    /// Sends all that is gathered, in the order in which it began.
    pub(crate) fn close_batches(&mut self, now: Now) {
        for open in self.gathering.take_all() {
            self.send_together(now, open.members);
        }
    }

    /// The same when others wait for room: who cannot come in need not be waited for. Whether there
    /// was anything.
    pub(crate) fn close_batches_if_full(&mut self, now: Now) -> bool {
        if self.gathering.open.is_empty() || !self.permits.has_line() {
            return false;
        }
        self.close_batches(now);
        true
    }

    /// Gives up gathering for a producer: every member is on its own again, and waits for nothing.
    pub(crate) fn scatter(&mut self, producer: ProducerId) {
        for open in self.gathering.take_all_of(producer) {
            for member in open.members {
                self.set_state(member, State::Running);
            }
        }
    }

    fn close_batch(&mut self, now: Now, key: &Key) {
        if let Some(open) = self.gathering.take(key) {
            self.send_together(now, open.members);
        }
    }

    /// One frame for several; a lone message is an ordinary send.
    fn send_together(&mut self, now: Now, members: Vec<OpId>) {
        if let [lone] = members[..] {
            self.set_state(lone, State::Running);
            return self.find_route(now, lone);
        }
        let ops: Vec<_> = members.iter().filter_map(|id| self.ops.get(*id)).collect();
        let prepared = ops
            .iter()
            .filter_map(|op| op.as_send())
            .map(|send| &*send.prepared);
        // Properties that a batch cannot hold were refused when the messages were prepared.
        let Some(Ok(prepared)) = Prepared::together(prepared) else {
            return self.send_apart(now, &members);
        };
        let deadline = ops.iter().filter_map(|op| op.deadline).min();
        let mut send = Send::new(Box::new(prepared), false, 0);
        self.stats.auto_batches += 1;
        self.stats.auto_batched += members.len() as u64;
        send.carrier = Some(Box::new(Carrier::Batch(members.clone())));
        let Some(producer) = ops.first().map(|op| op.producer) else {
            return;
        };
        let batch = self.ops.insert(Op {
            producer,
            since: now.mono,
            deadline,
            timer: None,
            kind: Kind::Send(send),
        });
        for member in members {
            self.set_state(member, State::Batched(batch));
            self.disarm_op(member);
        }
        self.find_route(now, batch);
    }

    fn send_apart(&mut self, now: Now, members: &[OpId]) {
        for member in members {
            self.set_state(*member, State::Running);
            self.find_route(now, *member);
        }
    }

    /// The frame's end is the end of each that it carried.
    pub(crate) fn share_out(
        &mut self,
        now: Now,
        batch: &Send,
        members: &[OpId],
        outcome: &Outcome,
    ) {
        let is_all_well = match outcome {
            Outcome::Failed(error) => !is_about_content(error),
            _ => true,
        };
        if !is_all_well {
            // One of them may be to blame; the others must not suffer for it.
            return self.send_apart(now, members);
        }
        let shared = match outcome {
            Outcome::Sent(receipt) => Some(Shared::new(receipt, batch.prepared.message_id())),
            _ => None,
        };
        for (index, id) in members.iter().enumerate() {
            let Some(member) = self.ops.get_mut(*id).and_then(Op::as_send_mut) else {
                continue;
            };
            member.attempt = batch.attempt.clone();
            let own = match (&shared, outcome) {
                (Some(shared), _) => {
                    let own = shared.of_member(member.prepared.message_id(), index);
                    Outcome::Sent(Box::new(own))
                }
                (None, Outcome::Failed(error)) => Outcome::Failed(error.clone()),
                // No other end of a send is there.
                _ => Outcome::Failed(SendError::closed(Certainty::Unknown)),
            };
            self.finish(now, *id, own);
        }
    }

    /// What must hold of gathered sends, for tests.
    pub(crate) fn check_gathering(&self) -> Result<(), String> {
        let mut held = 0;
        for (key, open) in &self.gathering.open {
            let mut bytes = 0;
            for id in &open.members {
                let send = self.ops.get(*id).and_then(Op::as_send);
                let Some(send) = send.filter(|send| send.state == State::Gathered) else {
                    return Err(format!("{id} is in a batch but does not wait for it"));
                };
                if send.prepared.key.as_ref() != Some(&key.1) {
                    return Err(format!("{id} is in a batch that it does not belong to"));
                }
                bytes += send.prepared.member().encoded_len();
            }
            let lead = open.members.first().and_then(|lead| self.ops.get(*lead));
            if bytes != open.bytes || lead.and_then(|lead| lead.timer) != Some(open.until) {
                return Err(format!(
                    "a batch of {bytes} bytes is not looked after: {open:?}"
                ));
            }
            held += bytes;
        }
        if held != self.gathering.held {
            return Err(format!(
                "{held} bytes are gathered, not {}",
                self.gathering.held
            ));
        }
        for (id, op) in self.ops.iter() {
            let is_known = match op.state() {
                Some(State::Gathered) => self
                    .gathering
                    .open
                    .values()
                    .any(|open| open.members.contains(&id)),
                Some(State::Batched(batch)) => self.members_of(batch).contains(&id),
                _ => true,
            };
            if !is_known {
                return Err(format!("{id} is gathered where nobody looks"));
            }
        }
        Ok(())
    }

    fn members_of(&self, batch: OpId) -> &[OpId] {
        let send = self.ops.get(batch).and_then(Op::as_send);
        match send.and_then(|send| send.carrier.as_deref()) {
            Some(Carrier::Batch(members)) => members,
            _ => &[],
        }
    }
}

impl Gathering {
    /// Adds a member; says which one is the first of its batch, and until when that waits.
    fn add(&mut self, key: &Key, id: OpId, bytes: usize, until: Instant) -> (OpId, Instant) {
        let opened = &mut self.opened;
        let open = self.open.entry(key.clone()).or_insert_with(|| {
            *opened += 1;
            Open {
                number: *opened,
                members: Vec::new(),
                bytes: 0,
                until,
            }
        });
        open.members.push(id);
        open.bytes += bytes;
        open.until = open.until.min(until);
        self.held += bytes;
        (open.members[0], open.until)
    }

    /// Whether there is no room for so many bytes more.
    fn is_full(&self, bytes: usize, settings: &AutoBatch) -> bool {
        self.held.saturating_add(bytes) > settings.max_held_bytes
    }

    fn take(&mut self, key: &Key) -> Option<Open> {
        let open = self.open.remove(key)?;
        self.held -= open.bytes;
        Some(open)
    }

    fn take_all_of(&mut self, producer: ProducerId) -> Vec<Open> {
        let keys = self.open.keys().filter(|(owner, _)| *owner == producer);
        let keys: Vec<_> = keys.cloned().collect();
        keys.iter().filter_map(|key| self.take(key)).collect()
    }

    fn take_all(&mut self) -> Vec<Open> {
        if self.open.is_empty() {
            return Vec::new();
        }
        self.held = 0;
        let mut all: Vec<_> = self.open.drain().map(|(_, open)| open).collect();
        all.sort_unstable_by_key(|open| open.number);
        all
    }
}

/// Whether an error may be one message's fault, and it is certain that none is stored.
fn is_about_content(error: &SendError) -> bool {
    let refused = error.code() == Some(ResponseCode::MESSAGE_ILLEGAL);
    let kinds = [SendErrorKind::Hook, SendErrorKind::InvalidMessage];
    error.certainty() != Certainty::Unknown && (refused || kinds.contains(&error.kind()))
}

/// A batch's receipt, of which each member gets its part (D.8, "result split").
struct Shared<'a> {
    whole: &'a SendReceipt,
    /// What the parts have in common. `None` for an inner batch, which was stored as one, under an id
    /// of its own.
    common: Option<SendReceipt>,
    offset_ids: Vec<&'a str>,
}

impl<'a> Shared<'a> {
    fn new(whole: &'a SendReceipt, ids: &str) -> Self {
        let common = (whole.message_id == *ids).then(|| SendReceipt {
            message_id: IdText::default(),
            offset_message_id: IdText::default(),
            ..whole.clone()
        });
        Self {
            whole,
            common,
            offset_ids: whole.offset_message_id.split(',').collect(),
        }
    }

    fn of_member(&self, own_id: &str, index: usize) -> SendReceipt {
        let whole = self.whole;
        let Some(common) = &self.common else {
            return whole.clone();
        };
        let offset_id = self.offset_ids.get(index);
        SendReceipt {
            message_id: own_id.into(),
            offset_message_id: offset_id
                .map_or_else(|| whole.offset_message_id.clone(), |id| (*id).into()),
            queue_offset: whole.queue_offset.saturating_add(index as i64),
            ..common.clone()
        }
    }
}
