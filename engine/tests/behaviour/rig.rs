//! An engine, a clock that the test turns, and servers whose every answer the test writes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rocketmq_engine::proto::header::{Fields, SendMessageResponse};
use rocketmq_engine::proto::{
    Flags, FrameDecoder, GroupName, Message, RemotingCommand, RequestCode, ResponseCode,
    SerializeType, TopicName, UniqueIdSeed, UniqueIds,
};
use rocketmq_engine::{
    Accepted, Answer, CheckBack, CloseCause, CloseReason, Config, ConnId, CorrelationId, Decision,
    DialError, Endpoint, Engine, Event, FrameSeq, Input, Now, OpId, Operation, Outcome, Output,
    Prepared, ProducerId, SendError, SendReceipt,
};

pub(crate) const NAME_SERVER: &str = "ns:1";

/// The wall clock at the start.
const START_MS: u64 = 1_750_000_000_000;
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) struct Rig {
    pub(crate) engine: Engine,
    pub(crate) closed: Vec<(ConnId, CloseReason)>,
    pub(crate) events: Vec<Event>,
    pub(crate) admitted: Vec<OpId>,
    pub(crate) asked: Vec<OpId>,
    /// Panics of hooks that were swallowed.
    pub(crate) hook_panics: u64,
    pub(crate) producer: ProducerId,
    pub(crate) checks_told: usize,
    config: Arc<Config>,
    ids: UniqueIds,
    correlation: u128,
    base: Instant,
    unix_base: u64,
    now: Duration,
    dials: Vec<(ConnId, String)>,
    frames: VecDeque<Sent>,
    /// Questions in HTTP.
    pub(crate) http: Vec<(ConnId, String)>,
    done: BTreeMap<OpId, Outcome>,
}

/// A frame that the engine gave out.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) conn: ConnId,
    pub(crate) seq: FrameSeq,
    pub(crate) command: RemotingCommand,
}

impl Rig {
    /// An engine with one name server; `change` sets what matters to the test.
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Self::plain_config();
        change(&mut config);
        let config = Arc::new(config);
        let mut engine = Engine::new(config.clone(), 1).unwrap();
        // Room to jump back.
        let base = Instant::now() + 10 * HOUR;
        let start = Now {
            mono: base,
            unix_ms: START_MS,
        };
        let producer = engine.join(start, config.clone()).unwrap();
        Self {
            engine,
            producer,
            closed: Vec::new(),
            events: Vec::new(),
            admitted: Vec::new(),
            asked: Vec::new(),
            hook_panics: 0,
            checks_told: 0,
            config,
            correlation: 0,
            ids: UniqueIds::new(Self::id_seed()),
            base,
            unix_base: START_MS,
            now: Duration::ZERO,
            dials: Vec::new(),
            frames: VecDeque::new(),
            http: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    pub(crate) fn plain_config() -> Config {
        let mut config = Config::new(GroupName::new("group").unwrap());
        config.client_id = "client".to_owned();
        config.name_servers = vec![Endpoint::new(NAME_SERVER).unwrap()];
        config
    }

    pub(crate) fn id_seed() -> UniqueIdSeed {
        UniqueIdSeed {
            ip: [10, 0, 0, 1].into(),
            pid: 1,
            hash: 1,
            utc_offset_seconds: 0,
        }
    }

    /// The same, with the route of topic `T` learnt and every broker of it connected: brokers `a`,
    /// `b` and so on at `a:1`, `b:1`, each with so many queues. Their heartbeats are answered.
    pub(crate) fn with_brokers(
        brokers: &[&str],
        queues: usize,
        change: impl FnOnce(&mut Config),
    ) -> (Self, Vec<ConnId>) {
        let mut rig = Self::new(change);
        let ready = rig.submit(Operation::Ready {
            topic: TopicName::new("T").unwrap(),
            timeout: Duration::from_secs(3),
        });
        let name_server = rig.connect(NAME_SERVER);
        let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
        rig.answer_body(&question, ResponseCode::SUCCESS, route(brokers, queues));
        let conns: Vec<_> = brokers
            .iter()
            .map(|name| rig.connect(&format!("{name}:1")))
            .collect();
        for conn in &conns {
            let beat = rig.frame(*conn, RequestCode::HEART_BEAT);
            rig.answer(&beat, ResponseCode::SUCCESS, "");
        }
        assert!(matches!(rig.outcome(ready), Some(Outcome::Done)));
        rig.events.clear();
        (rig, conns)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            mono: self.base + self.now,
            unix_ms: self.unix_base + self.now.as_millis() as u64,
        }
    }

    /// Both clocks jump by so many hours; time on them goes on from there.
    pub(crate) fn jump(&mut self, mono: i64, unix: i64) {
        let by = HOUR * mono.unsigned_abs() as u32;
        self.base = if mono < 0 {
            self.base - by
        } else {
            self.base + by
        };
        self.unix_base = self.unix_base.saturating_add_signed(unix * 3_600_000);
        self.input(Input::Tick);
    }

    /// Lets time pass up to so many ms from the start, each deadline at its moment.
    pub(crate) fn run_to(&mut self, ms: u64) {
        let end = Duration::from_millis(ms);
        while let Some(at) = self.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Tick);
        }
        self.now = end;
        self.input(Input::Tick);
    }

    /// When the next tick is due, from the start.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let deadline = self.engine.next_deadline();
        deadline.map(|at| at.saturating_duration_since(self.base))
    }

    pub(crate) fn submit(&mut self, operation: Operation) -> OpId {
        self.try_accept(operation, true).unwrap().op
    }

    pub(crate) fn try_accept(
        &mut self,
        operation: Operation,
        may_wait: bool,
    ) -> Result<Accepted, SendError> {
        let now = self.now();
        let accepted = if may_wait {
            self.engine.submit(now, self.producer, operation)
        } else {
            self.engine.try_submit(now, self.producer, operation)
        };
        self.drain();
        accepted.map_err(|rejected| rejected.error)
    }

    pub(crate) fn prepare(&mut self, message: Message) -> Box<Prepared> {
        let unix_ms = self.now().unix_ms;
        let ids = &mut self.ids;
        Box::new(Prepared::message(&self.config, message, || ids.next(unix_ms)).unwrap())
    }

    pub(crate) fn half(&mut self, message: Message) -> OpId {
        let unix_ms = self.now().unix_ms;
        let ids = &mut self.ids;
        let half = Prepared::half(&self.config, message, || ids.next(unix_ms));
        self.submit(Operation::Send(Box::new(half.unwrap())))
    }

    /// Ends the transaction of a half message.
    pub(crate) fn end(&mut self, receipt: &SendReceipt, decision: impl Into<Decision>) -> OpId {
        let end = Prepared::end_of(&self.config, receipt, decision.into()).unwrap();
        self.submit(Operation::EndTransaction(Box::new(end)))
    }

    /// Somebody takes check-backs.
    pub(crate) fn listen(&mut self) {
        self.engine.listen_for_checks(self.producer);
    }

    /// Takes the next check-back.
    pub(crate) fn take_check(&mut self) -> Option<CheckBack> {
        let now = self.now();
        let check = self.engine.take_check(now, self.producer);
        self.drain();
        check
    }

    pub(crate) fn decide(&mut self, check: OpId, decision: impl Into<Decision>) {
        let now = self.now();
        self.engine.decided(now, check, decision.into());
        self.drain();
    }

    pub(crate) fn send(&mut self, message: Message) -> OpId {
        let prepared = self.prepare(message);
        self.submit(Operation::Send(prepared))
    }

    /// A request with a budget in ms, and what its reply has to name.
    pub(crate) fn request(&mut self, message: Message, ms: u64) -> (OpId, CorrelationId) {
        self.correlation += 1;
        let id = CorrelationId::random(self.correlation);
        let (unix_ms, ids) = (self.now().unix_ms, &mut self.ids);
        let (budget, next) = (Duration::from_millis(ms), || ids.next(unix_ms));
        let prepared = Prepared::request(&self.config, message, budget, id, next).unwrap();
        (self.submit(Operation::Send(Box::new(prepared))), id)
    }

    pub(crate) fn oneway(&mut self, message: Message) -> OpId {
        let prepared = self.prepare(message);
        self.submit(Operation::Oneway(prepared))
    }

    pub(crate) fn reply(&mut self, op: OpId, answer: Answer) {
        let now = self.now();
        self.engine.answer(now, op, answer);
        self.drain();
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        let now = self.now();
        self.engine.handle(now, input);
        self.drain();
    }

    /// The dial to an address that is under way, if one is.
    pub(crate) fn dial(&mut self, to: &str) -> Option<ConnId> {
        let at = self.dials.iter().position(|(_, address)| address == to)?;
        Some(self.dials.remove(at).0)
    }

    pub(crate) fn connect(&mut self, to: &str) -> ConnId {
        let conn = self
            .dial(to)
            .unwrap_or_else(|| panic!("{to} is not dialled"));
        self.input(Input::Connected(conn));
        conn
    }

    pub(crate) fn refuse(&mut self, to: &str) {
        let conn = self
            .dial(to)
            .unwrap_or_else(|| panic!("{to} is not dialled"));
        let refused = DialError::Io(std::io::ErrorKind::ConnectionRefused);
        self.input(Input::ConnectFailed(conn, refused));
    }

    pub(crate) fn close(&mut self, conn: ConnId) {
        self.input(Input::Closed(conn, CloseCause::PeerClosed));
    }

    pub(crate) fn flushed(&mut self, conn: ConnId, seq: FrameSeq) {
        self.input(Input::Flushed(conn, seq));
    }

    /// Takes the first frame with this code on a connection.
    pub(crate) fn frame(&mut self, conn: ConnId, code: RequestCode) -> Sent {
        self.try_frame(conn, code)
            .unwrap_or_else(|| panic!("no {code} on {conn}: {:?}", self.frames))
    }

    pub(crate) fn try_frame(&mut self, conn: ConnId, code: RequestCode) -> Option<Sent> {
        let fits = |sent: &Sent| sent.conn == conn && sent.command.code == code.0;
        let at = self.frames.iter().position(fits)?;
        self.frames.remove(at)
    }

    /// Takes the next send, on whatever connection.
    pub(crate) fn next_send(&mut self) -> Option<Sent> {
        let code = RequestCode::SEND_MESSAGE_V2.0;
        let at = self
            .frames
            .iter()
            .position(|sent| sent.command.code == code)?;
        self.frames.remove(at)
    }

    /// Takes the first frame with this code, on whatever connection.
    pub(crate) fn take_frame(&mut self, code: RequestCode) -> Sent {
        let fits = |sent: &Sent| sent.command.code == code.0;
        let at = self.frames.iter().position(fits).unwrap();
        self.frames.remove(at).unwrap()
    }

    /// All frames that nobody has taken.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &Sent> {
        self.frames.iter()
    }

    pub(crate) fn forget_frames(&mut self) {
        self.frames.clear();
    }

    pub(crate) fn answer(&mut self, request: &Sent, code: ResponseCode, remark: &str) {
        let remark = Some(remark).filter(|remark| !remark.is_empty());
        let answer = RemotingCommand::response(request.command.opaque, code, remark);
        self.receive(request.conn, &answer);
    }

    pub(crate) fn answer_body(
        &mut self,
        request: &Sent,
        code: ResponseCode,
        body: impl Into<Bytes>,
    ) {
        let answer = RemotingCommand::response(request.command.opaque, code, None);
        self.receive(request.conn, &answer.with_body(body));
    }

    /// Answers a send as a broker that stored it.
    pub(crate) fn confirm(&mut self, request: &Sent) {
        self.confirm_as(request, ResponseCode::SUCCESS);
    }

    /// The same with a status of its own.
    pub(crate) fn confirm_as(&mut self, request: &Sent, status: ResponseCode) {
        let answer = RemotingCommand::response(request.command.opaque, status, None);
        let answer = answer.with_fields(&SendMessageResponse {
            msg_id: "0A00000100002A9F0000000000000000".into(),
            queue_id: 0,
            queue_offset: 0,
            transaction_id: None,
            batch_uniq_id: None,
            recall_handle: None,
        });
        self.receive(request.conn, &answer);
    }

    pub(crate) fn server_asks(&mut self, conn: ConnId, code: i32, flags: Flags) {
        let mut request = RemotingCommand::request(RequestCode(code), 900, &NoFields);
        request.flags = flags;
        self.receive(conn, &request);
    }

    pub(crate) fn receive(&mut self, conn: ConnId, command: &RemotingCommand) {
        let mut bytes = BytesMut::new();
        command.encode(SerializeType::Json, &mut bytes).unwrap();
        self.input(Input::Received(conn, &mut bytes));
    }

    /// Takes the outcome of an operation, if it has completed.
    pub(crate) fn outcome(&mut self, op: OpId) -> Option<Outcome> {
        self.done.remove(&op)
    }

    pub(crate) fn receipt(&mut self, op: OpId) -> SendReceipt {
        match self.outcome(op) {
            Some(Outcome::Sent(receipt)) => *receipt,
            other => panic!("{op} has no receipt but {other:?}"),
        }
    }

    pub(crate) fn error(&mut self, op: OpId) -> SendError {
        match self.outcome(op) {
            Some(Outcome::Failed(error)) => error,
            other => panic!("{op} has not failed but {other:?}"),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Admitted { op } => self.admitted.push(op),
                Output::Ask { op, .. } => self.asked.push(op),
                Output::CheckBack => self.checks_told += 1,
                Output::Complete { op, outcome, .. } => {
                    assert!(self.done.insert(op, outcome).is_none(), "{op} ended twice");
                }
                Output::Connect { conn, to, .. } => self.dials.push((conn, to.to_string())),
                Output::Disconnect { conn, why } => {
                    self.dials.retain(|(dialled, _)| *dialled != conn);
                    self.closed.push((conn, why));
                }
                Output::Event(event) => self.events.push(event),
                Output::Hook(call) => self.hook_panics += call.run(),
                Output::Transmit { conn, frame } if frame.head.starts_with(b"GET ") => {
                    let question = String::from_utf8(frame.head.to_vec()).unwrap();
                    self.http.push((conn, question));
                }
                Output::Transmit { conn, mut frame } => {
                    if let Err(error) = frame.seal() {
                        let now = self.now();
                        let input = Input::Unsealed(conn, frame.seq, error);
                        self.engine.handle(now, input);
                        continue;
                    }
                    let mut bytes = BytesMut::from(&frame.head[..]);
                    bytes.extend_from_slice(&frame.body);
                    let read = FrameDecoder::default()
                        .next_frame(&mut bytes)
                        .unwrap()
                        .unwrap();
                    self.frames.push_back(Sent {
                        conn,
                        seq: frame.seq,
                        command: RemotingCommand::from_frame(&read).unwrap(),
                    });
                }
            }
        }
        self.engine.check(self.base).unwrap();
    }
}

impl Sent {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.command
            .ext_fields
            .as_ref()
            .unwrap()
            .get(name)
            .map_or("", String::as_str)
    }
}

/// The route of a topic that all these brokers have.
pub(crate) fn route(brokers: &[&str], queues: usize) -> String {
    let data = brokers.iter().map(|name| {
        format!(r#"{{"brokerName":"{name}","cluster":"c","brokerAddrs":{{"0":"{name}:1"}}}}"#)
    });
    let of_brokers = brokers.iter().map(|name| {
        format!(
            r#"{{"brokerName":"{name}","perm":6,"readQueueNums":{queues},"writeQueueNums":{queues}}}"#
        )
    });
    format!(
        r#"{{"brokerDatas":[{}],"queueDatas":[{}]}}"#,
        data.collect::<Vec<_>>().join(","),
        of_brokers.collect::<Vec<_>>().join(",")
    )
}

pub(crate) fn message(body: &'static str) -> Message {
    Message::new("T", body)
}

struct NoFields;

impl Fields for NoFields {
    fn write(&self, _sink: &mut impl rocketmq_engine::proto::FieldSink) {}
}
