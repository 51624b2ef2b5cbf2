//! The application's own code around sends and requests (PROTOCOL E.10, kernel steps).

use std::panic::panic_any;
use std::sync::{Arc, Mutex};

use rocketmq_engine::proto::{Batch, Message, RequestCode, ResponseCode};
use rocketmq_engine::{
    Certainty, CheckForbiddenHook, Config, Operation, Outgoing, Prepared, Refusal, RpcAnswer,
    RpcHook, RpcRequest, SendErrorKind, SendHook, SentMessage,
};

use crate::rig::{Rig, message};

#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl CheckForbiddenHook for Diary {
    fn check(&self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        assert!(message.message().properties().get("UNIQ_KEY").is_some());
        self.write("check");
        match message.message().body().as_ref() {
            b"forbidden" => Err("not this one".into()),
            b"check panics" => panic!("a hook of the test"),
            _ => Ok(()),
        }
    }
}

impl SendHook for Diary {
    fn before(&self, message: &mut Outgoing<'_>) -> Result<(), Refusal> {
        self.write("before");
        match message.message().body().as_ref() {
            b"refused" => return Err("not that one".into()),
            b"before panics" => panic!("a hook of the test"),
            b"too much" => message.set_property("large", &"x".repeat(32_767))?,
            b"reserved" => message.set_property("KEYS", "k")?,
            _ => message.set_property("added", "by a hook")?,
        }
        Ok(())
    }

    fn after(&self, sent: &SentMessage) {
        let address = sent
            .address
            .as_ref()
            .map_or("-", |address| address.as_str());
        let outcome = match &sent.outcome {
            Ok(Some(receipt)) => format!("{} {}", receipt.status, receipt.message_id),
            Ok(None) => "written".to_owned(),
            Err(error) => error.kind().to_string(),
        };
        self.write(format!(
            "after {} at {address}, {} tries, {} ms: {outcome}",
            sent.topic,
            sent.attempts,
            sent.elapsed.as_millis()
        ));
    }
}

impl RpcHook for Diary {
    fn before(&self, request: &mut RpcRequest<'_>) {
        self.write(format!("request {} to {}", request.code(), request.to()));
        request.set_field("hook", "was here");
    }

    fn after(&self, answer: &RpcAnswer) {
        let code = ResponseCode(answer.answer.code);
        self.write(format!(
            "answer {} from {}: {code}",
            answer.request, answer.from
        ));
    }
}

struct Panics;

impl SendHook for Panics {
    fn after(&self, _: &SentMessage) {
        panic!("a hook of the test")
    }
}

impl RpcHook for Panics {
    fn before(&self, request: &mut RpcRequest<'_>) {
        if request.body().as_ref() == b"rpc panics" {
            panic!("a hook of the test")
        }
    }

    fn after(&self, _: &RpcAnswer) {
        panic!("a hook of the test")
    }
}

fn try_prepare(
    config: &Config,
    body: &'static str,
) -> Result<Prepared, rocketmq_engine::SendError> {
    let mut ids = rocketmq_engine::proto::UniqueIds::new(Rig::id_seed());
    Prepared::message(config, message(body), || ids.next(1))
}

fn config_with(diary: &Arc<Diary>) -> impl FnOnce(&mut Config) {
    let diary = diary.clone();
    move |config| {
        config.hooks.forbidden = vec![diary.clone()];
        config.hooks.send = vec![diary];
    }
}

#[test]
fn hooks_run_in_the_order_of_the_kernel_and_what_they_add_is_sent() {
    let diary = Arc::new(Diary::default());
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| {
        config_with(&diary)(config);
        config.hooks.rpc = vec![diary.clone()];
    });
    diary.take();
    let op = rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    assert_eq!(sent.field("hook"), "was here");
    assert!(sent.field("i").contains("added\u{1}by a hook"));
    rig.run_to(5);
    rig.confirm(&sent);
    let receipt = rig.receipt(op);
    let code = RequestCode::SEND_MESSAGE_V2;
    let ok = ResponseCode::SUCCESS;
    assert_eq!(
        diary.take(),
        [
            "check".to_owned(),
            "before".to_owned(),
            format!("request {code} to a:1"),
            format!("answer {code} from a:1: {ok}"),
            format!(
                "after T at a:1, 1 tries, 5 ms: SEND_OK {}",
                receipt.message_id
            ),
        ]
    );
}

#[test]
fn a_hook_that_refuses_or_panics_before_the_send_is_the_error_of_that_call() {
    let diary = Arc::new(Diary::default());
    let mut config = Rig::plain_config();
    config_with(&diary)(&mut config);
    let rows = [
        ("forbidden", SendErrorKind::Hook, "not this one", 1),
        ("check panics", SendErrorKind::Hook, "panicked", 1),
        ("refused", SendErrorKind::Hook, "not that one", 2),
        ("before panics", SendErrorKind::Hook, "panicked", 2),
        ("reserved", SendErrorKind::Hook, "used by system", 2),
        ("too much", SendErrorKind::InvalidMessage, "properties", 2),
    ];
    for (body, kind, text, hooks_run) in rows {
        let error = try_prepare(&config, body).unwrap_err();
        assert_eq!(error.kind(), kind, "{body}: {error}");
        assert!(error.to_string().contains(text), "{body}: {error}");
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert!(!error.is_retryable());
        assert_eq!(diary.take().len(), hooks_run, "{body}");
    }
}

#[test]
fn each_member_of_a_batch_is_shown_to_the_hooks_before_and_the_batch_once_to_those_after() {
    let diary = Arc::new(Diary::default());
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, config_with(&diary));
    let batch = Batch::new(vec![message("x"), message("y")]).unwrap();
    let mut ids = rocketmq_engine::proto::UniqueIds::new(Rig::id_seed());
    let prepared = Prepared::batch(rig.config(), batch, || ids.next(1)).unwrap();
    let op = rig.submit(Operation::Send(Box::new(prepared)));
    let sent = rig.take_frame(RequestCode::SEND_BATCH_MESSAGE);
    let body = String::from_utf8_lossy(&sent.command.body).into_owned();
    assert_eq!(body.matches("added\u{1}by a hook").count(), 2);
    rig.confirm(&sent);
    rig.receipt(op);
    let lines = diary.take();
    assert_eq!(lines[..4], ["check", "before", "check", "before"]);
    assert_eq!(lines.len(), 5, "{lines:?}");
}

#[test]
fn hooks_after_hear_of_failures_and_oneway_sends_too() {
    let diary = Arc::new(Diary::default());
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config_with(&diary)(config);
        config.retries = 0;
    });
    let op = rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    rig.answer(&sent, ResponseCode::MESSAGE_ILLEGAL, "too fat");
    rig.error(op);
    assert_eq!(diary.take()[2], "after T at a:1, 1 tries, 0 ms: Broker");
    let op = rig.oneway(message("y"));
    let sent = rig.next_send().unwrap();
    rig.flushed(conns[0], sent.seq);
    assert!(rig.outcome(op).is_some());
    assert_eq!(diary.take()[2], "after T at a:1, 1 tries, 0 ms: written");
}

#[test]
fn a_panic_in_a_hook_after_is_counted_and_harms_nobody() {
    let diary = Arc::new(Diary::default());
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| {
        config.hooks.send = vec![Arc::new(Panics), diary.clone()];
    });
    let op = rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.receipt(op);
    assert_eq!(rig.hook_panics, 1);
    let lines = diary.take();
    assert!(lines[1].starts_with("after T"), "the next hook: {lines:?}");
}

/// Its drop is the application's code as well, and may panic again.
#[test]
fn what_a_hook_panics_with_is_never_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    struct Throws;
    impl CheckForbiddenHook for Throws {
        fn check(&self, message: &Outgoing<'_>) -> Result<(), Refusal> {
            match message.message().body().as_ref() {
                b"thrown at once" => panic_any(Bomb),
                _ => Ok(()),
            }
        }
    }
    impl SendHook for Throws {
        fn after(&self, _: &SentMessage) {
            panic_any(Bomb)
        }
    }
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| {
        config.hooks.forbidden = vec![Arc::new(Throws)];
        config.hooks.send = vec![Arc::new(Throws), Arc::new(Throws)];
    });
    let error = try_prepare(rig.config(), "thrown at once").unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Hook);
    let op = rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.receipt(op);
    assert_eq!(rig.hook_panics, 2);
}

#[test]
fn a_panic_in_an_rpc_hook_fails_its_own_send_and_leaves_the_connection() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.hooks.rpc = vec![Arc::new(Panics)];
    });
    for oneway in [false, true] {
        let submit = |rig: &mut Rig, body| match oneway {
            true => rig.oneway(message(body)),
            false => rig.send(message(body)),
        };
        let panics = rig.engine.stats().hook_panics;
        let bad = submit(&mut rig, "rpc panics");
        let error = rig.error(bad);
        assert_eq!(error.kind(), SendErrorKind::Hook);
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert_eq!(rig.engine.stats().hook_panics, panics + 1);
        let good = submit(&mut rig, "x");
        let sent = rig.next_send().unwrap();
        assert_eq!(sent.conn, conns[0]);
        match oneway {
            true => rig.flushed(conns[0], sent.seq),
            false => rig.confirm(&sent),
        }
        assert!(rig.outcome(good).unwrap().into_done().is_ok());
    }
    assert!(rig.closed.is_empty());
    assert_eq!(rig.engine.stats().in_flight, 0);
}

#[test]
fn a_question_that_a_hook_spoils_fails_at_once() {
    struct Spoils;
    impl RpcHook for Spoils {
        fn before(&self, request: &mut RpcRequest<'_>) {
            assert!(request.code() != RequestCode::GET_ROUTEINFO_BY_TOPIC);
        }
    }
    let mut rig = Rig::new(|config| config.hooks.rpc = vec![Arc::new(Spoils)]);
    let op = rig.send(Message::new("T", "x"));
    rig.connect(crate::rig::NAME_SERVER);
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::NameServer);
    assert!(error.to_string().contains("hook panicked"), "{error}");
}
