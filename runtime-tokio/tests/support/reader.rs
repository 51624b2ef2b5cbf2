//! Reads back what brokers stored: a plain socket and the codec, so that it shares nothing with the producer
//! under test. For tests and examples, which include it by path.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rocketmq_proto::header::{
    Fields, GetRouteInfoRequest, PullMessageRequest, PullMessageResponse,
};
use rocketmq_proto::{
    Frame, FrameDecoder, RemotingCommand, RequestCode, ResponseCode, SerializeType, StoredMessage,
    StoredMessages, TopicRoute,
};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at queues that have not got everything yet.
const PAUSE: Duration = Duration::from_millis(20);
/// The most messages of one pull (Java `maxTransferCountOnMessageInMemory`).
const PULLED: i32 = 32;
/// Pull flag: the subscription is sent along, since nobody subscribed before (PROTOCOL A.7, code 11).
const WITH_SUBSCRIPTION: i32 = 4;

/// Asks name servers for routes, and brokers for their messages.
#[derive(Debug)]
pub(crate) struct Reader {
    name_servers: Vec<String>,
    connections: HashMap<String, Connection>,
}

/// A queue of a topic: broker name, its address, queue id.
type Queue = (String, String, i32);

impl Reader {
    /// A reader of the cluster behind these name servers, `host:port;host:port`. Connects when first asked.
    pub(crate) fn new(name_servers: &str) -> Self {
        let addresses = name_servers
            .split(';')
            .map(|address| address.trim().to_owned());
        Self {
            name_servers: addresses.filter(|address| !address.is_empty()).collect(),
            connections: HashMap::new(),
        }
    }

    /// The route of a topic, from the first name server that answers; `None` when there is none.
    ///
    /// # Errors
    /// No name server answers, or one answers what cannot be read.
    pub(crate) fn route(&mut self, topic: &str) -> io::Result<Option<TopicRoute>> {
        let header = GetRouteInfoRequest {
            topic: topic.into(),
            accept_standard_json_only: Some(true),
        };
        let mut last = io::Error::other("no name server was given");
        for server in self.name_servers.clone() {
            match self.call(&server, RequestCode::GET_ROUTEINFO_BY_TOPIC, &header) {
                Ok(answer) => return read_route(&answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Every message of a topic, queue by queue, in each queue's order. Looks again until there are `at_least` so
    /// many, for at most `patience`; then gives what there is. With 0 each queue is read once to its end.
    ///
    /// # Errors
    /// A server of the topic's route cannot be reached, or its answers cannot be read.
    pub(crate) fn read(
        &mut self,
        topic: &str,
        at_least: usize,
        patience: Duration,
    ) -> io::Result<Vec<StoredMessage>> {
        let until = Instant::now() + patience;
        let mut found: BTreeMap<Queue, Vec<StoredMessage>> = BTreeMap::new();
        loop {
            for queue in self.queues(topic)? {
                let messages = found.entry(queue.clone()).or_default();
                self.read_queue(topic, &queue, messages)?;
            }
            let count: usize = found.values().map(Vec::len).sum();
            if count >= at_least || Instant::now() >= until {
                return Ok(found.into_values().flatten().collect());
            }
            thread::sleep(PAUSE);
        }
    }

    /// The queues of a topic that can be read, none when it has no route.
    fn queues(&mut self, topic: &str) -> io::Result<Vec<Queue>> {
        let route = self.route(topic)?.unwrap_or_default();
        let mut queues = Vec::new();
        for queue in &route.queues {
            let broker = route
                .brokers
                .iter()
                .find(|broker| broker.name == queue.broker);
            let Some(address) = broker.and_then(|broker| broker.addrs.get(&0)) else {
                continue;
            };
            let ids = 0..queue.read_queues;
            queues.extend(ids.map(|id| (queue.broker.clone(), address.clone(), id)));
        }
        Ok(queues)
    }

    /// Pulls from where `messages` ends to the end of the queue.
    fn read_queue(
        &mut self,
        topic: &str,
        (_, address, id): &Queue,
        messages: &mut Vec<StoredMessage>,
    ) -> io::Result<()> {
        let mut offset = messages.last().map_or(0, |last| last.queue_offset + 1);
        loop {
            let frame = self.pull(topic, address, *id, offset)?;
            let answer = frame.command().map_err(io::Error::other)?;
            match answer.response_code() {
                ResponseCode::PULL_NOT_FOUND => return Ok(()),
                ResponseCode::PULL_OFFSET_MOVED
                | ResponseCode::PULL_RETRY_IMMEDIATELY
                | ResponseCode::SUCCESS => {}
                code => {
                    let text = format!(
                        "pulling {topic} from {address}: {code}: {:?}",
                        answer.remark
                    );
                    return Err(io::Error::other(text));
                }
            }
            for message in StoredMessages::new(frame.body()) {
                messages.push(message.map_err(io::Error::other)?);
            }
            let header: PullMessageResponse = answer.ext.decode().map_err(io::Error::other)?;
            if header.next_begin_offset <= offset {
                return Ok(());
            }
            offset = header.next_begin_offset;
        }
    }

    fn pull(
        &mut self,
        topic: &str,
        address: &str,
        queue_id: i32,
        queue_offset: i64,
    ) -> io::Result<Frame> {
        let header = PullMessageRequest {
            consumer_group: "reader".into(),
            topic: topic.into(),
            queue_id,
            queue_offset,
            max_msg_nums: PULLED,
            sys_flag: WITH_SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_millis: 0,
            subscription: Some("*".into()),
            sub_version: 0,
            expression_type: Some("TAG".into()),
            broker_name: None,
        };
        self.call(address, RequestCode::PULL_MESSAGE, &header)
    }

    fn call(
        &mut self,
        address: &str,
        code: RequestCode,
        header: &impl Fields,
    ) -> io::Result<Frame> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        let mut connection = match self.connections.remove(address) {
            Some(connection) => connection,
            None => Connection::open(address).map_err(named)?,
        };
        let answer = connection.call(code, header).map_err(named)?;
        // Kept only when it did well: the next question would meet the same fault.
        self.connections.insert(address.to_owned(), connection);
        Ok(answer)
    }
}

fn read_route(frame: &Frame) -> io::Result<Option<TopicRoute>> {
    let answer = frame.command().map_err(io::Error::other)?;
    match answer.response_code() {
        ResponseCode::SUCCESS => {
            let route = TopicRoute::decode(&frame.body()).map_err(io::Error::other)?;
            Ok(Some(route))
        }
        ResponseCode::TOPIC_NOT_EXIST => Ok(None),
        code => Err(io::Error::other(format!(
            "route: {code}: {:?}",
            answer.remark
        ))),
    }
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    decoder: FrameDecoder,
    buffer: BytesMut,
    opaque: i32,
}

impl Connection {
    fn open(address: &str) -> io::Result<Self> {
        let unknown = || io::Error::other("the name has no address");
        let address = address.to_socket_addrs()?.next().ok_or_else(unknown)?;
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            decoder: FrameDecoder::default(),
            buffer: BytesMut::new(),
            opaque: 0,
        })
    }

    fn call(&mut self, code: RequestCode, header: &impl Fields) -> io::Result<Frame> {
        self.opaque += 1;
        let request = RemotingCommand::request(code, self.opaque, header);
        let mut bytes = BytesMut::new();
        request
            .encode(SerializeType::Json, &mut bytes)
            .map_err(io::Error::other)?;
        self.stream.write_all(&bytes)?;
        loop {
            let frame = self.next_frame()?;
            let answer = frame.command().map_err(io::Error::other)?;
            if answer.flags.is_response() && answer.opaque == self.opaque {
                return Ok(frame);
            }
        }
    }

    fn next_frame(&mut self) -> io::Result<Frame> {
        let mut part = vec![0; 64 * 1024];
        loop {
            let frame = self.decoder.next_frame(&mut self.buffer);
            if let Some(frame) = frame.map_err(io::Error::other)? {
                return Ok(frame);
            }
            match self.stream.read(&mut part)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.buffer.extend_from_slice(&part[..count]),
            }
        }
    }
}
