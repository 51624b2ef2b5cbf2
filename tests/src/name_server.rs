//! A name server: routes, topics and a few key-value pairs.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use rocketmq_proto::{
    BrokerData, ClusterInfo, Frame, QueueData, RequestCode, ResponseCode, TopicList,
    TopicQueueMapping, TopicRoute,
    header::{GetKvConfigRequest, GetKvConfigResponse, GetRouteInfoRequest},
    perm,
};

use crate::{
    Accounts, Action, FaultScript, Flavour, PeerId, Registration, RequestLog, Server, ServerNow,
    desk::{self, Answer, Desk, Process},
    request::Request,
};

/// Clients of this version and later get standard JSON (PROTOCOL A.5, C.2).
const STANDARD_JSON_SINCE: i32 = 401;
const ORDER_TOPIC_CONFIG: &str = "ORDER_TOPIC_CONFIG";

/// A name server without clock, socket or thread (PROTOCOL J.6).
///
/// It never drops a broker by itself: a real one does so after 120 s of silence, here whoever drives it calls
/// [`unregister`](Self::unregister).
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    desk: Desk,
    brokers: BTreeMap<String, Registration>,
    /// Brokers whose permission to write was wiped.
    wiped: BTreeSet<String>,
    kv: BTreeMap<(String, String), String>,
    order_messages: bool,
    accounts: Accounts,
}

impl NameServer {
    /// An empty name server. `log_limit` is how many requests it remembers.
    pub fn new(address: SocketAddr, flavour: Flavour, log_limit: usize) -> Self {
        Self {
            address,
            desk: Desk::new(flavour, log_limit),
            brokers: BTreeMap::new(),
            wiped: BTreeSet::new(),
            kv: BTreeMap::new(),
            order_messages: false,
            accounts: Accounts::new(),
        }
    }

    /// Takes what a broker says of itself. One that is older than what is known is ignored.
    pub fn register(&mut self, registration: Registration) {
        let known = self.brokers.get(&registration.broker);
        if known.is_some_and(|known| known.version > registration.version) {
            return;
        }
        self.brokers
            .insert(registration.broker.clone(), registration);
    }

    /// Drops a broker from all routes, as after 120 s without a word from it.
    pub fn unregister(&mut self, broker: &str) {
        self.brokers.remove(broker);
        self.wiped.remove(broker);
    }

    /// Takes the permission to write away from all queues of a broker (code 205 in a real one), or gives it back.
    pub fn wipe_write_perm(&mut self, broker: &str, wiped: bool) {
        if wiped {
            self.wiped.insert(broker.to_owned());
        } else {
            self.wiped.remove(broker);
        }
    }

    /// Sets a value that GET_KV_CONFIG finds. Under the namespace `ORDER_TOPIC_CONFIG` it is the order
    /// configuration of the topic `key`, once [`order_messages`](Self::order_messages) is on.
    pub fn put_kv(
        &mut self,
        namespace: impl Into<String>,
        key: impl Into<String>,
        value: impl Into<String>,
    ) {
        self.kv.insert((namespace.into(), key.into()), value.into());
    }

    /// Whether routes carry `orderTopicConf` (Java `orderMessageEnable`, default false).
    pub fn order_messages(&mut self, enabled: bool) {
        self.order_messages = enabled;
    }

    /// Who may send requests (PROTOCOL G.5); empty, as at the beginning, everybody. A real 4.9 name server lets
    /// everybody.
    pub fn set_accounts(&mut self, accounts: Accounts) {
        self.accounts = accounts;
    }

    /// The address that it answers for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The route of a topic, or `None` when no broker has it.
    pub fn route(&self, topic: &str) -> Option<TopicRoute> {
        let mut route = TopicRoute::default();
        for broker in self.brokers.values() {
            let Some(config) = broker.topics.get(topic) else {
                continue;
            };
            let taken = if self.wiped.contains(&broker.broker) {
                perm::WRITE
            } else {
                0
            };
            route.queues.push(QueueData {
                broker: broker.broker.clone(),
                read_queues: config.read_queues,
                write_queues: config.write_queues,
                perm: config.perm & !taken,
                topic_sys_flag: config.sys_flag,
            });
            route.brokers.push(broker_data(broker));
            if let Some(logical) = &config.logical {
                let mapping = TopicQueueMapping {
                    topic: topic.to_owned(),
                    total_queues: logical.total,
                    broker: broker.broker.clone(),
                    epoch: logical.epoch,
                    current_ids: logical.held.clone(),
                    ..TopicQueueMapping::default()
                };
                route.mapping.insert(broker.broker.clone(), mapping);
            }
        }
        if route.brokers.is_empty() {
            return None;
        }
        if self.order_messages {
            let key = (ORDER_TOPIC_CONFIG.to_owned(), topic.to_owned());
            route.order_conf = self.kv.get(&key).cloned();
        }
        Some(route)
    }

    fn answer_route(&mut self, request: &Request<'_>) {
        let header = match request.view.ext.decode::<GetRouteInfoRequest<'_>>() {
            Ok(header) => header,
            Err(error) => return self.desk.bad_header(request, &error),
        };
        let Some(route) = self.route(&header.topic) else {
            let remark = format!(
                "No topic route info in name server for the topic: {}{}",
                header.topic,
                self.desk.flavour.faq()
            );
            let answer = Answer::new(ResponseCode::TOPIC_NOT_EXIST).remark(&remark);
            return self.desk.answer(request, answer, &());
        };
        let standard = request.view.version >= STANDARD_JSON_SINCE
            || header.accept_standard_json_only == Some(true);
        let body = if standard {
            route.encode_json()
        } else {
            route.encode_fastjson()
        };
        self.desk.answer(request, Answer::ok().body(&body), &());
    }

    fn answer_cluster(&mut self, request: &Request<'_>) {
        let mut info = ClusterInfo::default();
        for broker in self.brokers.values() {
            info.brokers
                .insert(broker.broker.clone(), broker_data(broker));
            let names = info.clusters.entry(broker.cluster.clone()).or_default();
            names.push(broker.broker.clone());
        }
        // Bare number keys in all versions (PROTOCOL B.13).
        let body = info.encode_fastjson();
        self.desk.answer(request, Answer::ok().body(&body), &());
    }

    fn answer_topics(&mut self, request: &Request<'_>) {
        let topics: BTreeSet<&String> = self
            .brokers
            .values()
            .flat_map(|broker| broker.topics.keys())
            .collect();
        let list = TopicList {
            topics: topics.into_iter().cloned().collect(),
            ..TopicList::default()
        };
        let body = list.encode_json();
        self.desk.answer(request, Answer::ok().body(&body), &());
    }

    fn answer_kv(&mut self, request: &Request<'_>) {
        let header = match request.view.ext.decode::<GetKvConfigRequest<'_>>() {
            Ok(header) => header,
            Err(error) => return self.desk.bad_header(request, &error),
        };
        let key = (header.namespace.to_string(), header.key.to_string());
        let Some(value) = self.kv.get(&key) else {
            let remark = format!(
                "No config item, Namespace: {} Key: {}",
                header.namespace, header.key
            );
            let answer = Answer::new(ResponseCode::QUERY_NOT_FOUND).remark(&remark);
            return self.desk.answer(request, answer, &());
        };
        let fields = GetKvConfigResponse {
            value: Some(value.into()),
        };
        self.desk.answer(request, Answer::ok(), &fields);
    }
}

fn broker_data(broker: &Registration) -> BrokerData {
    BrokerData {
        cluster: broker.cluster.clone(),
        name: broker.broker.clone(),
        addrs: [(0, broker.address.to_string())].into(),
        zone: None,
        enable_acting_master: broker.says_acting_master.then_some(false),
    }
}

impl Process for NameServer {
    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn process(&mut self, _now: ServerNow, request: &Request<'_>, _out: &mut Vec<Action>) {
        match request.code() {
            RequestCode::GET_ROUTEINFO_BY_TOPIC => self.answer_route(request),
            RequestCode::GET_BROKER_CLUSTER_INFO => self.answer_cluster(request),
            RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => self.answer_topics(request),
            RequestCode::GET_KV_CONFIG => self.answer_kv(request),
            _ => self.desk.not_supported(request),
        }
    }
}

impl Server for NameServer {
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

    fn on_closed(&mut self, _conn: PeerId) {}

    fn forget(&mut self) {
        self.brokers.clear();
        self.wiped.clear();
    }

    fn take_registration(&mut self) -> Option<Registration> {
        None
    }

    fn faults(&mut self) -> &mut FaultScript {
        &mut self.desk.faults
    }

    fn requests(&self) -> &RequestLog {
        &self.desk.log
    }
}
