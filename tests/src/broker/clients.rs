//! Who is connected: heartbeats, their end, and the way back to a client (PROTOCOL B.3, B.4, J.5).

use std::collections::{BTreeMap, VecDeque};

use rocketmq_proto::{
    ResponseCode,
    header::{EmptyHeader, HeartbeatData, UnregisterClientRequest},
};

use super::Broker;
use crate::{Flavour, PeerId, ServerNow, desk::Answer, request::Request};

/// A producer or consumer that is silent for longer is gone (PROTOCOL J.5).
const EXPIRY_MS: u64 = 120_000;
/// The most client ids remembered.
const MAX_CLIENTS: usize = 10_000;

/// One heartbeat.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Heartbeat {
    /// The server's clock when it came, ms since the Unix epoch.
    pub unix_ms: u64,
    /// The connection it came in on.
    pub conn: PeerId,
    /// What it said.
    pub data: HeartbeatData,
}

/// A client that sent heartbeats. Only its producer groups are known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientSeen {
    /// Its client id.
    pub client_id: String,
    /// The connection of its last heartbeat.
    pub conn: PeerId,
    /// When that came, ms since the Unix epoch.
    pub unix_ms: u64,
    /// Its producer groups that are registered.
    pub producer_groups: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Clients {
    by_id: BTreeMap<String, ClientSeen>,
    heartbeats: VecDeque<Heartbeat>,
}

impl Clients {
    pub(super) fn alive(&self, now: ServerNow) -> Vec<ClientSeen> {
        let is_alive =
            |client: &&ClientSeen| now.unix_ms.saturating_sub(client.unix_ms) < EXPIRY_MS;
        self.by_id.values().filter(is_alive).cloned().collect()
    }

    pub(super) fn heartbeats(&self) -> impl Iterator<Item = &Heartbeat> {
        self.heartbeats.iter()
    }

    pub(super) fn disconnect(&mut self, conn: PeerId) {
        self.by_id.retain(|_, client| client.conn != conn);
    }

    /// The connection on which a client can be reached.
    pub(super) fn conn_of(&self, now: ServerNow, client_id: &str) -> Option<PeerId> {
        let client = self.by_id.get(client_id)?;
        (now.unix_ms.saturating_sub(client.unix_ms) < EXPIRY_MS).then_some(client.conn)
    }

    /// The connections of a producer group's clients, in the order of their ids.
    pub(super) fn conns_of_group(&self, now: ServerNow, group: &str) -> Vec<PeerId> {
        let clients = self.alive(now).into_iter();
        let of_group = clients.filter(|client| client.producer_groups.iter().any(|g| g == group));
        of_group.map(|client| client.conn).collect()
    }

    fn beat(&mut self, heartbeat: Heartbeat, remembered: usize) {
        let data = &heartbeat.data;
        if self.by_id.contains_key(&data.client_id) || self.by_id.len() < MAX_CLIENTS {
            let client = ClientSeen {
                client_id: data.client_id.clone(),
                conn: heartbeat.conn,
                unix_ms: heartbeat.unix_ms,
                producer_groups: data.producer_groups.clone(),
            };
            self.by_id.insert(data.client_id.clone(), client);
        }
        if remembered == 0 {
            return;
        }
        if self.heartbeats.len() >= remembered {
            self.heartbeats.pop_front();
        }
        self.heartbeats.push_back(heartbeat);
    }

    fn unregister(&mut self, header: &UnregisterClientRequest<'_>) {
        let id: &str = &header.client_id;
        let Some(client) = self.by_id.get_mut(id) else {
            return;
        };
        client
            .producer_groups
            .retain(|group| header.producer_group.as_deref() != Some(group.as_str()));
        if client.producer_groups.is_empty() {
            self.by_id.remove(id);
        }
    }
}

impl Broker {
    pub(super) fn answer_heartbeat(&mut self, now: ServerNow, request: &Request<'_>) {
        let data = match HeartbeatData::decode(&request.frame.body()) {
            Ok(data) => data,
            Err(error) => {
                let text = format!("com.alibaba.fastjson.JSONException: {error}, ...");
                return self.desk.exception(request, &text);
            }
        };
        let heartbeat = Heartbeat {
            unix_ms: now.unix_ms,
            conn: request.conn,
            data,
        };
        self.clients.beat(heartbeat, self.config.request_log);
        let second_version = [
            ("IS_SUPPORT_HEART_BEAT_V2", "true"),
            ("IS_SUB_CHANGE", "true"),
        ];
        let extra = match self.flavour() {
            Flavour::V4_9 => &[][..],
            Flavour::V5_3 => &second_version[..],
        };
        let answer = Answer::new(ResponseCode::SUCCESS).extra(extra);
        self.desk.answer(request, answer, &());
    }

    pub(super) fn answer_unregister(&mut self, request: &Request<'_>) {
        match request.view.ext.decode::<UnregisterClientRequest<'_>>() {
            Ok(header) => {
                self.clients.unregister(&header);
                // PROTOCOL L 2.
                self.desk.answer(request, Answer::ok(), &EmptyHeader);
            }
            Err(error) => self.desk.bad_header(request, &error),
        }
    }
}
