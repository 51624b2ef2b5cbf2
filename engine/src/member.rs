//! The producers that share one client: its connections, routes and permits (PROTOCOL E.3).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rocketmq_proto::header::{HeartbeatData, SendMessageRequest};
use rocketmq_proto::{Flags, Head, RequestCode, SendHeads};

use crate::check_back::CheckBacks;
use crate::config::{Config, ConfigError};
use crate::engine::Engine;
use crate::flush::Flushes;
use crate::io::{Now, ProducerId};
use crate::naming::Extra;
use crate::peer::Link;
use crate::shutdown::Closing;
use crate::slab::Slab;
use crate::trace::Trace;

/// The producers of a client.
#[derive(Debug)]
pub(crate) struct Members {
    list: Slab<ProducerId, Member>,
    /// Whether others may yet join: then the last one that leaves does not end the client.
    held: bool,
    /// Settings of producers that were forgotten.
    parted: Vec<Arc<Config>>,
    client: Arc<Config>,
}

/// One producer: its group, its settings, and what is under way for it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) config: Arc<Config>,
    /// The heads of its sends. `None` when its requests carry more than usual ones.
    pub(crate) send_heads: Option<SendHeads>,
    pub(crate) flushes: Flushes,
    pub(crate) check_backs: CheckBacks,
    /// Transactions whose end may yet be told.
    pub(crate) open_transactions: usize,
    /// The message trace, when there is one.
    pub(crate) trace: Option<Box<Trace>>,
    pub(crate) closing: Option<Closing>,
    /// Nobody holds it any more: forgotten as soon as it is closed.
    forgotten: bool,
}

impl Engine {
    /// A producer joins: its group becomes known to every broker that is connected. The settings
    /// that concern messages may differ from those of the client; those of the client may not.
    ///
    /// # Errors
    /// [`ConfigError`] names a setting that is out of bounds or differs from the client's, or the
    /// group when a producer of the same name is there already.
    pub fn join(&mut self, now: Now, config: Arc<Config>) -> Result<ProducerId, ConfigError> {
        config.validate()?;
        self.config.check_same_client(&config)?;
        if self.members.of_group(&config.wire_group()).is_some() {
            return Err(ConfigError {
                field: "group",
                value: config.group.to_string(),
                bound: "has been created before on this client, specify another name please",
            });
        }
        let trace = config.trace.clone();
        let trace = trace.map(|settings| Box::new(Trace::new(settings, config.group.as_str())));
        let topics = config.topics.clone();
        let producer = self.members.list.insert(Member {
            send_heads: send_heads(&self.config, &self.extra, &config),
            config,
            flushes: Flushes::default(),
            check_backs: CheckBacks::default(),
            open_transactions: 0,
            trace,
            closing: None,
            forgotten: false,
        });
        self.introduce(now);
        self.prefetch(now, &topics);
        self.settle(now);
        Ok(producer)
    }

    /// Keeps the client open for others to [join](Self::join) although its last producer leaves, or
    /// no longer does. It is not held open at the beginning.
    pub fn hold_open(&mut self, held: bool) {
        self.members.held = held;
    }

    /// Whether the client is closed for good: every producer is shut down, and no other may join.
    pub fn is_closed(&self) -> bool {
        !self.members.held && self.members.iter().all(|(_, member)| member.is_over())
    }

    /// Forgets a producer: at once when it is shut down, else as soon as it is.
    pub fn forget(&mut self, producer: ProducerId) {
        if let Some(member) = self.members.get_mut(producer) {
            member.forgotten = true;
        }
        self.members.forget_closed();
    }

    /// The settings of producers that were [forgotten](Self::forget) since the last time. They may
    /// hold the application's code (hooks): drop them where no lock is held.
    pub fn take_parted(&mut self) -> Vec<Arc<Config>> {
        std::mem::take(&mut self.members.parted)
    }

    /// Whether no producer is left that takes messages.
    pub(crate) fn is_closing(&self) -> bool {
        self.members
            .iter()
            .all(|(_, member)| member.closing.is_some())
    }

    /// Tells every connected broker which groups there are now.
    pub(crate) fn introduce(&mut self, now: Now) {
        self.heartbeat_body = self.members.heartbeat();
        for id in self.peers.peers.keys() {
            let Some(peer) = self.peers.peers.get(id) else {
                continue;
            };
            if let (Link::Ready(conn), true) = (peer.link, peer.is_broker) {
                self.send_heartbeat(now, conn);
            }
        }
    }
}

/// The heads of a producer's usual sends, unless every request of the `client` carries extra fields.
fn send_heads(client: &Config, extra: &Extra, config: &Config) -> Option<SendHeads> {
    let head = Head {
        code: RequestCode::SEND_MESSAGE_V2.0,
        language: client.language,
        version: client.version,
        opaque: 0,
        flags: Flags::REQUEST,
        remark: None,
    };
    let fields = SendMessageRequest {
        producer_group: config.wire_group(),
        default_topic: Cow::Borrowed(config.create_topic_key.as_str()),
        default_topic_queue_nums: config.default_topic_queues,
        unit_mode: Some(config.unit_mode),
        ..SendMessageRequest::default()
    };
    let heads = SendHeads::new(client.serialize_type, head, &fields);
    heads.ok().filter(|_| extra.is_empty())
}

impl Members {
    pub(crate) fn new(client: Arc<Config>) -> Self {
        Self {
            list: Slab::new(),
            held: false,
            parted: Vec::new(),
            client,
        }
    }

    pub(crate) fn forget_closed(&mut self) {
        for id in self.list.keys() {
            let is_gone = |member: &Member| member.forgotten && member.is_over();
            if self.list.get(id).is_some_and(is_gone) {
                let member = self.list.remove(id);
                self.parted.extend(member.map(|member| member.config));
            }
        }
    }

    pub(crate) fn get_mut(&mut self, id: ProducerId) -> Option<&mut Member> {
        self.list.get_mut(id)
    }

    pub(crate) fn trace_mut(&mut self, id: ProducerId) -> Option<&mut Trace> {
        self.get_mut(id)?.trace.as_deref_mut()
    }

    /// The group that a producer's trace messages are sent by.
    pub(crate) fn trace_group(&self, id: ProducerId) -> &str {
        let trace = self.get(id).and_then(|member| member.trace.as_ref());
        trace.map_or("", |trace| &trace.group)
    }

    pub(crate) fn get(&self, id: ProducerId) -> Option<&Member> {
        self.list.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ProducerId, &Member)> {
        self.list.iter()
    }

    pub(crate) fn keys(&self) -> Vec<ProducerId> {
        self.list.keys()
    }

    /// The settings of a producer.
    pub(crate) fn config(&self, id: ProducerId) -> &Arc<Config> {
        self.list
            .get(id)
            .map_or(&self.client, |member| &member.config)
    }

    /// The heads of a producer's usual sends.
    pub(crate) fn send_heads(&mut self, id: ProducerId) -> Option<&mut SendHeads> {
        self.get_mut(id)?.send_heads.as_mut()
    }

    /// The producer of this group, by the name that servers know.
    pub(crate) fn of_group(&self, group: &str) -> Option<ProducerId> {
        let is_it = |member: &Member| !member.is_over() && member.config.wire_group() == group;
        let mut members = self.iter();
        members.find(|(_, member)| is_it(member)).map(|(id, _)| id)
    }

    /// The body of a heartbeat: all groups but those that have said goodbye (B.3).
    pub(crate) fn heartbeat(&self) -> Bytes {
        let here = self.iter().filter(|(_, member)| !member.has_left());
        let heartbeat = HeartbeatData {
            client_id: self.client.client_id.clone(),
            producer_groups: here
                .map(|(_, m)| m.config.wire_group().into_owned())
                .collect(),
        };
        let mut body = BytesMut::new();
        heartbeat.encode(&mut body);
        body.freeze()
    }
}

impl Member {
    /// Whether it takes another operation; `is_end` for the end of a transaction.
    pub(crate) fn takes(&self, is_end: bool) -> bool {
        let drains = |closing: &Closing| is_end && closing.is_draining();
        self.closing.as_ref().is_none_or(drains)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.closing.as_ref().is_some_and(Closing::is_over)
    }

    /// Whether its shutdown is under way.
    pub(crate) fn is_parting(&self) -> bool {
        self.closing.is_some() && !self.is_over()
    }

    /// When its trace records leave.
    pub(crate) fn trace_due(&self) -> Option<Instant> {
        self.trace.as_ref().and_then(|trace| trace.due)
    }

    /// Trace messages on their way.
    pub(crate) fn trace_messages(&self) -> usize {
        self.trace.as_ref().map_or(0, |trace| trace.messages())
    }

    pub(crate) fn has_left(&self) -> bool {
        self.closing.as_ref().is_some_and(Closing::has_left)
    }
}
