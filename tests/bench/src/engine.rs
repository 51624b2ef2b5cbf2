//! The engine alone, between a caller and a broker that cost next to nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rocketmq_engine::{
    Config, ConnId, Endpoint, Engine, Input, Now, Operation, Outcome, Output, Prepared, ProducerId,
};
use rocketmq_proto::{GroupName, Message, SerializeType, TopicName, UniqueIds};

use crate::samples;

/// What the engine has to do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The form of headers.
    pub headers: SerializeType,
    /// Messages under way while one more is sent and the oldest is answered.
    pub in_flight: usize,
    /// Topics, used in turn.
    pub topics: usize,
    /// Whether the engine is asked at all, or only what is done beside it.
    pub beside: bool,
}

/// An engine with a route and a connection.
#[derive(Debug)]
pub struct Lab {
    load: Load,
    config: Arc<Config>,
    engine: Engine,
    producer: ProducerId,
    ids: UniqueIds,
    now: Now,
    conn: Option<ConnId>,
    /// The last correlation number.
    opaque: Option<i32>,
    topics: Vec<TopicName>,
    turn: usize,
    body: Bytes,
    /// Correlation numbers of requests that wait for their answer, oldest first.
    waiting: VecDeque<i32>,
    answers: BytesMut,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            headers: SerializeType::Json,
            in_flight: 1,
            topics: 1,
            beside: false,
        }
    }
}

impl Load {
    /// `send-json-IN_FLIGHT[-TOPICS]`, `send-binary-..`; `..-beside` for what is not the engine's.
    pub fn named(name: &str) -> Option<Self> {
        let (name, beside) = match name.strip_suffix("-beside") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let mut parts = name.strip_prefix("send-")?.split('-');
        let headers = match parts.next()? {
            "json" => SerializeType::Json,
            "binary" => SerializeType::Binary,
            _ => return None,
        };
        Some(Self {
            headers,
            in_flight: parts.next()?.parse().ok().filter(|n| *n > 0)?,
            topics: parts.next().map_or(Some(1), |n| n.parse().ok())?,
            beside,
        })
    }
}

impl Lab {
    /// Learns the routes and connects.
    pub fn new(load: Load) -> Self {
        let mut config = Config::new(GroupName::new("order-service").expect("it is a name"));
        config.name_servers = vec![Endpoint::new("ns:9876").expect("it is an address")];
        config.client_id = "bench".to_owned();
        config.serialize_type = load.headers;
        config.send_timeout = Duration::from_secs(3600);
        let config = Arc::new(config);
        let now = Now {
            mono: Instant::now(),
            unix_ms: 1_700_000_000_123,
        };
        let mut engine = Engine::new(config.clone(), 1).expect("the settings are sound");
        let producer = engine.join(now, config.clone()).expect("it is the first");
        let name = |n| TopicName::new(format!("orders-{n}")).expect("it is a name");
        let mut lab = Self {
            topics: (0..load.topics).map(name).collect(),
            load,
            config,
            engine,
            producer,
            ids: samples::ids(),
            now,
            conn: None,
            opaque: None,
            turn: 0,
            body: vec![b'x'; 1024].into(),
            waiting: VecDeque::with_capacity(load.in_flight + 1),
            answers: BytesMut::with_capacity(4096),
        };
        for topic in lab.topics.clone() {
            lab.ready(topic);
        }
        lab
    }

    /// Sends so many messages, each answered when the window is full.
    pub fn run(&mut self, times: usize) {
        for _ in 1..self.load.in_flight {
            self.send();
        }
        for _ in 0..times {
            self.send();
            self.answer();
        }
    }

    /// A message as a caller makes it.
    pub fn prepare(&mut self) -> Box<Prepared> {
        let topic = self.topics[self.turn % self.topics.len()].clone();
        self.turn += 1;
        let message = Message::new(topic, self.body.clone())
            .tag("created")
            .key("o-42");
        let (ids, unix_ms) = (&mut self.ids, self.now.unix_ms);
        let prepared = Prepared::message(&self.config, message, || ids.next(unix_ms));
        Box::new(prepared.expect("it is sound"))
    }

    fn send(&mut self) {
        let prepared = self.prepare();
        if self.load.beside {
            self.waiting.push_back(self.turn as i32);
            return;
        }
        self.engine
            .submit(self.now, self.producer, Operation::Send(prepared))
            .expect("it is open");
        while let Some(output) = self.engine.poll_output() {
            if let Output::Transmit { frame, .. } = output {
                // Read once; from then on they count up.
                let opaque = self.opaque.map_or_else(
                    || opaque_of(self.load.headers, &frame.head),
                    |last| last + 1,
                );
                self.opaque = Some(opaque);
                self.waiting.push_back(opaque);
            }
        }
    }

    fn answer(&mut self) {
        let Some(opaque) = self.waiting.pop_front() else {
            return;
        };
        self.answers.clear();
        let headers = self.load.headers;
        samples::answer(&mut self.answers, headers, opaque, &samples::sent(), b"");
        let Some(conn) = self.conn.filter(|_| !self.load.beside) else {
            return;
        };
        self.engine
            .handle(self.now, Input::Received(conn, &mut self.answers));
        let mut sent = false;
        while let Some(output) = self.engine.poll_output() {
            sent |= matches!(
                &output,
                Output::Complete {
                    outcome: Outcome::Sent(_),
                    ..
                }
            );
        }
        assert!(sent, "an answer ends a send");
    }

    fn ready(&mut self, topic: TopicName) {
        let timeout = Duration::from_secs(3);
        let operation = Operation::Ready { topic, timeout };
        self.engine
            .submit(self.now, self.producer, operation)
            .expect("it is open");
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Connect { conn, .. } => {
                    self.conn = Some(conn);
                    self.engine.handle(self.now, Input::Connected(conn));
                }
                Output::Transmit { conn, frame } => {
                    let route = if frame.body.is_empty() { ROUTE } else { "" };
                    let mut bytes = BytesMut::new();
                    let opaque = opaque_of(self.load.headers, &frame.head);
                    samples::answer(&mut bytes, self.load.headers, opaque, &(), route.as_bytes());
                    self.engine
                        .handle(self.now, Input::Received(conn, &mut bytes));
                }
                _ => {}
            }
        }
    }
}

const ROUTE: &str = r#"{"brokerDatas":[{"brokerName":"broker-a","brokerAddrs":{"0":"a:10911"}}],
    "queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":8,"writeQueueNums":8}]}"#;

/// Reads a request's correlation number and nothing else.
fn opaque_of(ty: SerializeType, head: &[u8]) -> i32 {
    const KEY: &[u8] = br#""opaque":"#;
    if ty == SerializeType::Binary {
        let number = head[13..17].try_into().expect("four bytes");
        return i32::from_be_bytes(number);
    }
    // Behind it stands what is always there: the type and the version.
    let from = head.len() - 64;
    let at = head[from..]
        .windows(KEY.len())
        .position(|window| window == KEY);
    let digits = &head[from + at.expect("every head has one") + KEY.len()..];
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + i32::from(digit - b'0'))
}
