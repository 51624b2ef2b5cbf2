//! A broker: dispatch of requests, and what tests may ask of it.

mod admin;
mod batch;
mod check_back;
mod checks;
mod clients;
mod facts;
mod query;
mod reply;
mod schedule;
mod send;
mod transaction;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
};

use rocketmq_proto::{
    Frame, RequestCode, StoredMessage, UniqueIdSeed, UniqueIds, perm, topic as known,
};

use crate::{
    Accounts, Action, BrokerConfig, FaultScript, Flavour, PeerId, Registration, RequestLog, Server,
    ServerNow, TopicConfig,
    desk::{self, Desk, Process},
    request::Request,
    rng::Rng,
    store::Store,
    topic::Topics,
};

pub use clients::{ClientSeen, Heartbeat};
pub use transaction::{Half, HalfState};

use {clients::Clients, schedule::Schedule, transaction::Halves};

/// Requests of later versions than this get GO_AWAY from a server that shuts down (PROTOCOL A.5).
const GO_AWAY_ABOVE: i32 = 475;
/// The most topics that sends may create, and the most groups.
const MAX_CREATED: usize = 10_000;

/// A broker without clock, socket or thread (PROTOCOL J).
///
/// Simplifications, all of them visible only to a consumer or an operator: a pull is answered at once, never held;
/// subscriptions do not filter; expired producers are not disconnected, only left out of
/// [`clients`](Self::clients); there are no inner batches.
#[derive(Debug)]
pub struct Broker {
    config: BrokerConfig,
    desk: Desk,
    topics: Topics,
    /// Known consumer groups and how often each retries.
    groups: HashMap<String, i32>,
    store: Store,
    schedule: Schedule,
    clients: Clients,
    halves: Halves,
    /// When open half messages are looked through again; 0 before the first request.
    next_check_ms: u64,
    ids: UniqueIds,
    rng: Rng,
    version: u64,
    registered_version: u64,
}

impl Broker {
    /// A broker with the topics that every broker has, and no message.
    pub fn new(config: BrokerConfig) -> Self {
        let topics = system_topics(&config);
        let seed = UniqueIdSeed {
            ip: config.address.ip(),
            pid: 0,
            hash: (config.seed as u32) ^ u32::from(config.address.port()),
            utc_offset_seconds: 0,
        };
        Self {
            desk: Desk::new(config.flavour, config.request_log),
            topics,
            groups: HashMap::new(),
            store: Store::new(config.keep, config.max_stored_bytes, config.address),
            schedule: Schedule::default(),
            clients: Clients::default(),
            halves: Halves::default(),
            next_check_ms: 0,
            ids: UniqueIds::new(seed),
            rng: Rng::new(config.seed),
            version: 1,
            registered_version: 0,
            config,
        }
    }

    /// Creates or replaces a topic.
    pub fn create_topic(&mut self, name: impl Into<String>, config: TopicConfig) {
        self.topics.insert(name, config);
        self.version += 1;
    }

    /// Deletes a topic; what it holds stays in the commit log.
    pub fn delete_topic(&mut self, name: &str) {
        self.topics.remove(name);
        self.version += 1;
    }

    /// Makes a consumer group known, with the number of its retries (Java `retryMaxTimes`, default 16).
    pub fn create_group(&mut self, name: impl Into<String>, max_retries: i32) {
        self.groups.insert(name.into(), max_retries);
    }

    /// The configuration, to be changed while the broker runs.
    pub fn config_mut(&mut self) -> &mut BrokerConfig {
        // Permissions are part of what the name servers know.
        self.version += 1;
        &mut self.config
    }

    /// The configuration.
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// How this broker serves a topic, if it does.
    pub fn topic(&self, name: &str) -> Option<&TopicConfig> {
        self.topics.find(name)
    }

    /// Every message of a topic, in the order in which it was stored.
    pub fn stored(&self, topic: &str) -> Vec<StoredMessage> {
        let mut messages = self.messages();
        messages.retain(|message| message.topic == topic);
        messages
    }

    /// Every message of every topic in the order of the commit log, half messages and the schedule included.
    pub fn messages(&self) -> Vec<StoredMessage> {
        // What the store holds was encoded by it, so it can be decoded.
        let decode = |bytes| {
            StoredMessage::decode(bytes)
                .ok()
                .map(|(message, _)| message)
        };
        self.store.iter().filter_map(|b| decode(b)).collect()
    }

    /// One past the last offset of a queue, which also counts when nothing is kept.
    pub fn max_offset(&self, topic: &str, queue_id: i32) -> i64 {
        self.store.max_offset(topic, queue_id)
    }

    /// The producers that sent a heartbeat in the last 120 s and did not unregister.
    pub fn clients(&self, now: ServerNow) -> Vec<ClientSeen> {
        self.clients.alive(now)
    }

    /// The heartbeats seen, oldest first; at most as many as requests are remembered.
    pub fn heartbeats(&self) -> impl Iterator<Item = &Heartbeat> {
        self.clients.heartbeats()
    }

    /// Half messages and what became of them, oldest first.
    pub fn halves(&self) -> impl Iterator<Item = &Half> {
        self.halves.iter()
    }

    /// What this broker would tell a name server now.
    pub fn registration(&self) -> Registration {
        let taken = if self.config.writeable {
            0
        } else {
            perm::WRITE
        };
        let announced = |(name, config): (&String, &TopicConfig)| {
            let config = config.clone();
            let perm = config.perm & !taken;
            (name.clone(), config.perm(perm))
        };
        Registration {
            cluster: self.config.cluster.clone(),
            broker: self.config.name.clone(),
            address: self.config.address,
            version: self.version,
            says_acting_master: self.flavour() != Flavour::V4_9,
            topics: self
                .topics
                .iter()
                .map(announced)
                .collect::<BTreeMap<_, _>>(),
        }
    }

    fn flavour(&self) -> Flavour {
        self.config.flavour
    }
}

/// The topics that a broker makes at its start.
fn system_topics(config: &BrokerConfig) -> Topics {
    let mut topics = Topics::default();
    if config.auto_create_topics {
        let all = perm::READ | perm::WRITE | perm::INHERIT;
        let default = TopicConfig::new(config.default_topic_queues).perm(all);
        topics.insert(known::DEFAULT_TOPIC, default);
    }
    topics.insert("SELF_TEST_TOPIC", TopicConfig::new(1));
    topics.insert("BenchmarkTest", TopicConfig::new(1024));
    topics.insert("OFFSET_MOVED_EVENT", TopicConfig::new(1));
    topics.insert("RMQ_SYS_TRACE_TOPIC", TopicConfig::new(1));
    topics.insert(schedule::SCHEDULE_TOPIC, TopicConfig::new(18));
    topics.insert(transaction::HALF_TOPIC, TopicConfig::new(1));
    topics.insert("RMQ_SYS_TRANS_OP_HALF_TOPIC", TopicConfig::new(1));
    topics.insert(check_back::GIVEN_UP_TOPIC, TopicConfig::new(1));
    let replies = format!("{}_REPLY_TOPIC", config.cluster);
    topics.insert(replies, TopicConfig::new(1));
    if config.flavour != Flavour::V4_9 {
        topics.insert(schedule::TIMER_TOPIC, TopicConfig::new(1));
    }
    topics
}

impl Process for Broker {
    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn accounts(&self) -> &Accounts {
        &self.config.accounts
    }

    fn process(&mut self, now: ServerNow, request: &Request<'_>, out: &mut Vec<Action>) {
        self.deliver_due(now);
        self.check_halves_in_turn(now, out);
        if self.config.going_away
            && self.flavour() != Flavour::V4_9
            && request.view.version > GO_AWAY_ABOVE
        {
            return self.desk.go_away(request);
        }
        match request.code() {
            RequestCode::SEND_MESSAGE
            | RequestCode::SEND_MESSAGE_V2
            | RequestCode::SEND_BATCH_MESSAGE => self.answer_send(now, request),
            RequestCode::SEND_REPLY_MESSAGE | RequestCode::SEND_REPLY_MESSAGE_V2 => {
                self.answer_reply(now, request, out);
            }
            RequestCode::HEART_BEAT => self.answer_heartbeat(now, request),
            RequestCode::UNREGISTER_CLIENT => self.answer_unregister(request),
            RequestCode::END_TRANSACTION => self.answer_end_transaction(now, request),
            RequestCode::PULL_MESSAGE => self.answer_pull(request),
            RequestCode::VIEW_MESSAGE_BY_ID => self.answer_view(request),
            RequestCode::QUERY_MESSAGE => self.answer_query(request),
            RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => self.answer_search_offset(request),
            RequestCode::GET_MAX_OFFSET => self.answer_max_offset(request),
            RequestCode::GET_MIN_OFFSET => self.answer_min_offset(request),
            RequestCode::GET_EARLIEST_MSG_STORETIME => self.answer_earliest_time(request),
            RequestCode::UPDATE_AND_CREATE_TOPIC => self.answer_create_topic(request),
            RequestCode::RECALL_MESSAGE if self.flavour() != Flavour::V4_9 => {
                self.answer_recall(now, request);
            }
            _ => self.desk.not_supported(request),
        }
        if let Some(registration) = self.take_registration() {
            out.push(Action::Register(Box::new(registration)));
        }
    }
}

impl Server for Broker {
    fn on_frame(
        &mut self,
        now: ServerNow,
        conn: PeerId,
        peer: SocketAddr,
        frame: &Frame,
        out: &mut Vec<Action>,
    ) {
        desk::serve(self, now, conn, peer, frame, out);
    }

    fn on_closed(&mut self, conn: PeerId) {
        self.clients.disconnect(conn);
    }

    fn forget(&mut self) {
        self.store.clear();
        self.schedule = Schedule::default();
        self.halves = Halves::default();
    }

    fn take_registration(&mut self) -> Option<Registration> {
        if self.registered_version == self.version {
            return None;
        }
        self.registered_version = self.version;
        Some(self.registration())
    }

    fn faults(&mut self) -> &mut FaultScript {
        &mut self.desk.faults
    }

    fn requests(&self) -> &RequestLog {
        &self.desk.log
    }
}
