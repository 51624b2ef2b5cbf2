//! Requests in full dress: signed, in a namespace, with hooks (PROTOCOL E.10, G.5, G.6). What must
//! hold of every frame then, and that hooks hear of every send once.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rocketmq_engine::proto::{Credentials, RequestCode, namespace};
use rocketmq_engine::{
    Config, Frame, Input, Outgoing, Refusal, RpcHook, RpcRequest, SendHook, SentMessage,
};
use rocketmq_testkit::ClusterBuilder;

use super::book::{End, What};
use super::frames;
use super::rng::Rng;
use super::world::World;

const ACCESS_KEY: &str = "simulated-key";
const SECRET: &str = "simulated secret";
/// What hooks add.
const MARK: &str = "hooked";
/// The number of one request in so many ends with a panic of its hook.
const PANICS_EVERY: i32 = 23;

/// What the application's hooks of a world have seen.
#[derive(Debug, Default)]
pub(super) struct Diary {
    told: Mutex<BTreeMap<String, u32>>,
    /// Nothing goes wrong any more.
    is_calm: AtomicBool,
}

impl SendHook for Diary {
    fn before(&self, message: &mut Outgoing<'_>) -> Result<(), Refusal> {
        Ok(message.set_property(MARK, "yes")?)
    }

    fn after(&self, sent: &SentMessage) {
        let mut told = self.told.lock().expect("no panic");
        *told.entry(sent.message_id.to_string()).or_default() += 1;
        drop(told);
        if sent.attempts % 2 == 0 {
            // Says nothing on the screen, as `panic!` would.
            resume_unwind(Box::new("a hook after"));
        }
    }
}

impl RpcHook for Diary {
    fn before(&self, request: &mut RpcRequest<'_>) {
        let is_send = [
            RequestCode::SEND_MESSAGE_V2,
            RequestCode::SEND_BATCH_MESSAGE,
        ];
        let is_calm = self.is_calm.load(Ordering::Relaxed);
        if is_send.contains(&request.code()) && request.opaque() % PANICS_EVERY == 0 && !is_calm {
            resume_unwind(Box::new("a hook before"));
        }
        request.set_field(MARK, "yes");
    }
}

/// Draws what this world's requests wear.
pub(super) fn draw(rng: &mut Rng, config: &mut Config) -> Option<Arc<Diary>> {
    if rng.chance(300) {
        let mut credentials = Credentials::new(ACCESS_KEY, SECRET);
        if rng.chance(500) {
            credentials = credentials.with_security_token("simulated token");
        }
        config.credentials = Some(credentials);
    }
    config.namespace = rng.chance(250).then(|| "space".to_owned());
    if rng.chance(200) {
        config.namespace_v2 = Some("second".to_owned());
        config.zone_name = Some("zone".to_owned());
        config.stream_requests = true;
    }
    rng.chance(300).then(|| {
        let diary = Arc::new(Diary::default());
        config.hooks.send = vec![diary.clone()];
        config.hooks.rpc = vec![diary.clone()];
        diary
    })
}

/// Servers that let only those in who sign, when this producer does.
pub(super) fn guard(config: &Config, cluster: ClusterBuilder) -> ClusterBuilder {
    match &config.credentials {
        Some(_) => cluster.account(ACCESS_KEY, SECRET),
        None => cluster,
    }
}

impl World {
    /// A topic as servers know it.
    pub(super) fn wire(&self, topic: &str) -> String {
        let namespace = self.config.namespace.as_deref().unwrap_or_default();
        namespace::wrap(namespace, topic).into_owned()
    }

    /// The driver seals a frame; one that cannot be sealed is told of, at once or when the next
    /// report is due.
    pub(super) fn seal(&mut self, id: u64, frame: &mut Frame) -> bool {
        let Err(error) = frame.seal() else {
            return true;
        };
        let at_once = self.rng.chance(500);
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return false;
        };
        wire.given = frame.seq;
        let conn = wire.conn;
        if at_once {
            self.feed(Input::Unsealed(conn, frame.seq, error));
        } else {
            wire.unsealed.push((frame.seq, error));
        }
        false
    }

    /// What every request must carry.
    pub(super) fn check_dress(&self, frame: &Frame) -> Result<(), String> {
        let fields = frames::request_fields(frame)?;
        let Some(fields) = fields else { return Ok(()) };
        let config = &self.config;
        let expected = [
            ("AccessKey", config.credentials.is_some(), ACCESS_KEY),
            ("ns", config.namespace_v2.is_some(), "second"),
            ("nsd", config.namespace_v2.is_some(), "true"),
            ("__ZONE_NAME", config.zone_name.is_some(), "zone"),
            ("ReqT", config.stream_requests, "0"),
            (MARK, !config.hooks.rpc.is_empty(), "yes"),
        ];
        for (key, is_there, value) in expected {
            let found = fields.get(key).map(String::as_str);
            if found != is_there.then_some(value) {
                return Err(format!("a request has {key} = {found:?}"));
            }
        }
        Ok(())
    }

    /// From now on all is well, with the hooks too.
    pub(super) fn calm_hooks(&self) {
        if let Some(diary) = &self.plan.diary {
            diary.is_calm.store(true, Ordering::Relaxed);
        }
    }

    /// Each send that was accepted and not taken back was told of exactly once.
    pub(super) fn check_told(&self) -> Result<(), String> {
        let Some(diary) = &self.plan.diary else {
            return Ok(());
        };
        let told = diary.told.lock().expect("no panic");
        let mut expected = 0;
        for record in &self.book.records {
            let is_send = matches!(record.what, What::Oneway | What::Request | What::Send);
            if !is_send || !matches!(record.end, Some(End::Outcome(_))) {
                continue;
            }
            expected += 1;
            let keys: Vec<_> = record.messages.iter().map(|m| &*m.unique_key).collect();
            let keys = keys.join(",");
            let count = told.get(&keys).copied().unwrap_or(0);
            if count != 1 {
                return Err(format!("hooks were told {count} times how {keys} ended"));
            }
        }
        if told.len() != expected {
            return Err(format!(
                "hooks were told of {} sends, not {expected}",
                told.len()
            ));
        }
        Ok(())
    }
}
