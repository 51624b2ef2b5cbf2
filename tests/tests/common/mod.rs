//! A client of a few lines: a plain socket and the codec, so that nothing but the servers is tested.
#![allow(dead_code, reason = "each suite uses its own part")]

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rocketmq_proto::{
    BatchMember, Flags, FrameDecoder, RemotingCommand, RequestCode, ResponseCode, SerializeType,
    header::{Fields, SendMessageRequest},
};

/// Long enough for a loaded machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a server must be silent to be called so.
const SILENCE: Duration = Duration::from_millis(150);

pub(crate) struct Client {
    stream: TcpStream,
    decoder: FrameDecoder,
    read: BytesMut,
    next_opaque: i32,
    pub(crate) serialize_type: SerializeType,
    pub(crate) version: i32,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            decoder: FrameDecoder::default(),
            read: BytesMut::new(),
            next_opaque: 1,
            serialize_type: SerializeType::Json,
            version: rocketmq_proto::version::V4_9_8,
        }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub(crate) fn raw(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    pub(crate) fn request(&mut self, code: RequestCode, fields: &impl Fields, body: &[u8]) -> i32 {
        self.next_opaque += 1;
        let mut command = RemotingCommand::request(code, self.next_opaque, fields);
        command.version = self.version;
        self.write(command.with_body(Bytes::copy_from_slice(body)))
    }

    pub(crate) fn oneway(&mut self, code: RequestCode, fields: &impl Fields, body: &[u8]) {
        self.next_opaque += 1;
        let mut command = RemotingCommand::request(code, self.next_opaque, fields);
        command.flags = Flags::ONEWAY;
        self.write(command.with_body(Bytes::copy_from_slice(body)));
    }

    pub(crate) fn write(&mut self, command: RemotingCommand) -> i32 {
        let mut bytes = BytesMut::new();
        command.encode(self.serialize_type, &mut bytes).unwrap();
        self.stream.write_all(&bytes).unwrap();
        command.opaque
    }

    /// The next frame, its serialize type beside it.
    pub(crate) fn receive_typed(&mut self) -> (SerializeType, RemotingCommand) {
        loop {
            if let Some(frame) = self.decoder.next_frame(&mut self.read).unwrap() {
                let command = RemotingCommand::from_frame(&frame).unwrap();
                return (frame.serialize_type(), command);
            }
            let count = self
                .fill()
                .expect("an answer within the patience of a test");
            assert_ne!(
                count, 0,
                "the server closed the connection instead of answering"
            );
        }
    }

    pub(crate) fn receive(&mut self) -> RemotingCommand {
        self.receive_typed().1
    }

    /// Sends and waits for the answer to exactly this.
    pub(crate) fn call(
        &mut self,
        code: RequestCode,
        fields: &impl Fields,
        body: &[u8],
    ) -> RemotingCommand {
        let opaque = self.request(code, fields, body);
        let answer = self.receive();
        assert_eq!(answer.opaque, opaque);
        assert!(answer.flags.is_response());
        answer
    }

    pub(crate) fn send(&mut self, header: &SendMessageRequest<'_>, body: &[u8]) -> RemotingCommand {
        self.call(RequestCode::SEND_MESSAGE_V2, header, body)
    }

    /// Everything until the server closes the connection.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut all = self.read.split().to_vec();
        let mut part = [0; 4096];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => return all,
                Ok(count) => all.extend_from_slice(&part[..count]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return all,
                Err(error) => panic!("the server left the connection open: {error}"),
            }
        }
    }

    /// Exactly so many bytes, whatever they are.
    pub(crate) fn read_raw(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn assert_silent(&mut self) {
        self.stream.set_read_timeout(Some(SILENCE)).unwrap();
        let error = self
            .fill()
            .expect_err("no byte and no end of the connection");
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let quiet = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
        assert!(quiet.contains(&error.kind()), "{error}");
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut part = [0; 64 * 1024];
        let count = self.stream.read(&mut part)?;
        self.read.extend_from_slice(&part[..count]);
        Ok(count)
    }
}

/// A send to queue 0, with the default topic and without properties.
pub(crate) fn header(topic: &str) -> SendMessageRequest<'_> {
    SendMessageRequest {
        producer_group: "group".into(),
        topic: topic.into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        queue_id: 0,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        flag: 0,
        properties: None,
        reconsume_times: None,
        unit_mode: None,
        max_reconsume_times: None,
        batch: None,
        broker_name: None,
    }
}

pub(crate) fn with_properties<'a>(
    topic: &'a str,
    pairs: &[(&str, &str)],
) -> SendMessageRequest<'a> {
    SendMessageRequest {
        properties: Some(wire(pairs).into()),
        ..header(topic)
    }
}

pub(crate) fn wire(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}\u{1}{value}"))
        .collect();
    pairs.join("\u{2}")
}

pub(crate) fn batch_body(members: &[(&[u8], &str)]) -> BytesMut {
    let mut encoded = BytesMut::new();
    for (body, properties) in members {
        let member = BatchMember {
            flag: 0,
            body,
            properties,
        };
        member.encode(&mut encoded).unwrap();
    }
    encoded
}

pub(crate) fn batch_header(topic: &str) -> SendMessageRequest<'_> {
    SendMessageRequest {
        batch: Some(true),
        ..with_properties(topic, &[("WAIT", "true")])
    }
}

pub(crate) fn code(answer: &RemotingCommand) -> ResponseCode {
    ResponseCode(answer.code)
}

pub(crate) fn remark(answer: &RemotingCommand) -> &str {
    answer.remark.as_deref().unwrap_or_default()
}

pub(crate) fn field<'a>(answer: &'a RemotingCommand, name: &str) -> Option<&'a str> {
    answer.ext_fields.as_ref()?.get(name).map(String::as_str)
}

pub(crate) fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    pairs.iter().map(owned).collect()
}

/// Tries until it holds; only for what another thread does soon.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < end, "never came true: {what}");
        std::thread::yield_now();
    }
}
