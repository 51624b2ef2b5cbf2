//! How often, and how much, the engine allocates for a send: exact, so that a new allocation fails a
//! test and not a bench.

use std::sync::Arc;
use std::time::{Duration, Instant};

use allocation_counter::{AllocationInfo, measure};
use bytes::{Bytes, BytesMut};
use rocketmq_engine::proto::header::{SendMessageResponse, SendResponseExtras};
use rocketmq_engine::proto::{
    CommandView, GroupName, Message, RemotingCommand, ResponseCode, SerializeType, TopicName,
    UniqueIdSeed, UniqueIds,
};
use rocketmq_engine::{
    Config, ConnId, Endpoint, Engine, Input, Now, Operation, Outcome, Output, Prepared, ProducerId,
};

const BOTH: [SerializeType; 2] = [SerializeType::Json, SerializeType::Binary];
const ROUTE: &str = r#"{"brokerDatas":[{"brokerName":"broker-a","brokerAddrs":{"0":"a:10911"}}],
    "queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":8,"writeQueueNums":8}]}"#;

#[test]
fn preparing_a_message_allocates_nothing() {
    let mut bench = Bench::new(SerializeType::Json);
    let message = bench.message();
    let count = measure(|| {
        drop(Prepared::message(&bench.config, message, || {
            bench.ids.next(0)
        }))
    });
    assert_eq!(count.count_total, 0);
}

#[test]
fn a_send_allocates_nothing_in_the_engine() {
    for ty in BOTH {
        let mut bench = Bench::new(ty);
        let operation = bench.operation();
        let count = measure(|| {
            bench.submit(operation);
        });
        assert_eq!(count.count_total, 0, "{ty:?}");
    }
}

#[test]
fn an_answer_allocates_the_receipt() {
    for ty in BOTH {
        let mut bench = Bench::new(ty);
        let operation = bench.operation();
        let opaque = bench.submit(operation);
        let mut answer = bench.answer(opaque);
        let mut receipt = None;
        let count = measure(|| receipt = bench.receive(&mut answer));
        let receipt = receipt.unwrap().into_receipt().unwrap();
        assert_eq!(receipt.queue_offset, 4711);
        let ids = [Some(receipt.message_id), receipt.transaction_id];
        assert_eq!(ids.map(|id| id.unwrap().len()), [32, 32]);
        // And, once for all frames of a read, what counts the owners of its buffer.
        assert_eq!(count.count_total, 2, "{ty:?}");
    }
}

/// The body is the caller's; properties and all that the engine keeps is counted.
#[test]
fn a_send_under_way_takes_beside_its_body_what_is_written_here_and_no_more() {
    const SENDS: usize = 60_000;
    let mut bench = Bench::new(SerializeType::Json);
    let held: AllocationInfo = measure(|| {
        for _ in 0..SENDS {
            let operation = bench.operation();
            // Written at once: what a frame takes until then is another matter.
            bench.submit(operation);
        }
    });
    let each = held.bytes_current / SENDS as i64;
    println!("{each} bytes for each send under way");
    assert!(each <= 558, "{each} bytes");
    bench.engine.check(bench.now.mono).unwrap();
}

/// An engine with a route and a connection.
struct Bench {
    config: Arc<Config>,
    engine: Engine,
    producer: ProducerId,
    ids: UniqueIds,
    now: Now,
    conn: Option<ConnId>,
    topic: TopicName,
    body: Bytes,
}

impl Bench {
    fn new(ty: SerializeType) -> Self {
        let mut config = Config::new(GroupName::new("order-service").unwrap());
        config.name_servers = vec![Endpoint::new("ns:9876").unwrap()];
        config.client_id = "test".to_owned();
        config.serialize_type = ty;
        let config = Arc::new(config);
        let now = Now {
            mono: Instant::now(),
            unix_ms: 1_700_000_000_123,
        };
        let mut engine = Engine::new(config.clone(), 1).unwrap();
        let producer = engine.join(now, config.clone()).unwrap();
        let mut bench = Self {
            config,
            engine,
            producer,
            ids: UniqueIds::new(UniqueIdSeed {
                ip: [10, 0, 0, 1].into(),
                pid: 1,
                hash: 1,
                utc_offset_seconds: 0,
            }),
            now,
            conn: None,
            topic: TopicName::new("orders").unwrap(),
            body: vec![b'x'; 1024].into(),
        };
        bench.connect();
        // Whatever grows once has grown.
        for _ in 0..5 {
            let operation = bench.operation();
            let opaque = bench.submit(operation);
            let mut answer = bench.answer(opaque);
            bench.receive(&mut answer).unwrap().into_receipt().unwrap();
        }
        bench
    }

    fn connect(&mut self) {
        let timeout = Duration::from_secs(3);
        let topic = self.topic.clone();
        let ready = Operation::Ready { topic, timeout };
        self.engine.submit(self.now, self.producer, ready).unwrap();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Connect { conn, .. } => {
                    self.conn = Some(conn);
                    self.engine.handle(self.now, Input::Connected(conn));
                }
                Output::Transmit { conn, frame } => {
                    let body = if frame.body.is_empty() { ROUTE } else { "" };
                    let opaque = opaque_of(&frame.head);
                    let answer = RemotingCommand::response(opaque, ResponseCode::SUCCESS, None);
                    let mut bytes = BytesMut::new();
                    let answer = answer.with_body(body);
                    answer.encode(SerializeType::Json, &mut bytes).unwrap();
                    let input = Input::Received(conn, &mut bytes);
                    self.engine.handle(self.now, input);
                }
                _ => {}
            }
        }
    }

    fn message(&self) -> Message {
        Message::new(&self.topic, self.body.clone())
            .tag("created")
            .key("o-42")
    }

    fn operation(&mut self) -> Operation {
        let (message, ids) = (self.message(), &mut self.ids);
        let prepared = Prepared::message(&self.config, message, || ids.next(0));
        Operation::Send(Box::new(prepared.unwrap()))
    }

    /// The correlation number of what is written.
    fn submit(&mut self, operation: Operation) -> i32 {
        self.engine
            .submit(self.now, self.producer, operation)
            .unwrap();
        let mut opaque = None;
        while let Some(output) = self.engine.poll_output() {
            if let Output::Transmit { frame, .. } = output {
                opaque = Some(opaque_of(&frame.head));
            }
        }
        opaque.unwrap()
    }

    fn answer(&self, opaque: i32) -> BytesMut {
        let fields = (
            SendMessageResponse {
                msg_id: "7F00000100002A9F0000000000000F3D".into(),
                queue_id: 3,
                queue_offset: 4711,
                transaction_id: Some("0A00000100010000000100000000007B".into()),
                ..SendMessageResponse::default()
            },
            SendResponseExtras {
                region: Some("DefaultRegion".into()),
                trace_on: true,
            },
        );
        let answer = RemotingCommand::response(opaque, ResponseCode::SUCCESS, None);
        let mut bytes = BytesMut::new();
        let answer = answer.with_fields(&fields);
        answer
            .encode(self.config.serialize_type, &mut bytes)
            .unwrap();
        bytes
    }

    fn receive(&mut self, answer: &mut BytesMut) -> Option<Outcome> {
        let conn = self.conn.unwrap();
        self.engine.handle(self.now, Input::Received(conn, answer));
        let mut done = None;
        while let Some(output) = self.engine.poll_output() {
            if let Output::Complete { outcome, .. } = output {
                done = Some(outcome);
            }
        }
        done
    }
}

fn opaque_of(head: &[u8]) -> i32 {
    let ty = match head[4] {
        0 => SerializeType::Json,
        _ => SerializeType::Binary,
    };
    CommandView::decode(ty, &head[8..]).unwrap().opaque
}
