//! Requests, and consumers who reply: at once, late, twice, or never (PROTOCOL G.3).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_engine::proto::header::{ReplyMessageRequest, SendMessageRequest};
use rocketmq_engine::proto::{
    Frame as Received, Message, Properties, RemotingCommand, RequestCode, SerializeType,
    StoredMessage, property,
};
use rocketmq_engine::{CorrelationId, Operation, Prepared};

use super::book::{Place, Record, What};
use super::net::NetEvent;
use super::workload::expected;
use super::world::{Event, World};

/// The numbers of pushes begin here, so that their answers can be told from others.
const PUSHES: i32 = 1_000_000;

/// A request as a consumer sees it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    unique_key: String,
    correlation_id: String,
}

impl World {
    pub(super) fn send_request(&mut self) -> Result<(), String> {
        let number = self.book.records.len() as i32;
        let (topic, timeout) = (self.draw_topic(), self.draw_timeout());
        let message = Message::new(topic, self.draw_body())
            .tag(format!("tag-{}", number % 3))
            .key(format!("key-{number}"))
            .flag(number);
        let mut expected = expected(&message);
        let bits = u128::from(self.rng.next()) << 64 | u128::from(self.rng.next());
        let correlation = CorrelationId::random(bits);
        let (unix_ms, ids) = (self.unix_ms(), &mut self.ids);
        let next_id = || ids.next(unix_ms);
        let prepared = Prepared::request(&self.config, message, timeout, correlation, next_id);
        let prepared = prepared.map_err(|error| error.to_string())?;
        expected.unique_key = prepared.message_id().to_owned();
        let key = expected.unique_key.clone();
        self.book.asked.insert(correlation.to_string(), key);
        let record = Record {
            producer: self.caller,
            half: false,
            what: What::Request,
            topic: topic.to_owned(),
            messages: vec![expected],
            place: Place::Any,
            may_share: false,
            by: Some(self.now + timeout),
            admitted: false,
            carried: Vec::new(),
            end: None,
        };
        let may_wait = self.rng.chance(850);
        self.submit(Operation::Send(Box::new(prepared)), Some(record), may_wait)
    }

    /// A broker got a request, and has not answered yet: what its consumer will do about it.
    pub(super) fn consume(&mut self, wire: u64, asked: &Asked) -> Result<(), String> {
        if !self.is_stored(&asked.unique_key) {
            return Ok(());
        }
        match self.rng.below(10) {
            // Nobody replies.
            0 | 1 => {}
            // The reply overtakes the confirmation.
            2 | 3 => {
                let bytes = self.push_of(asked)?;
                self.server_writes(wire, &bytes);
            }
            4..8 => self.reply_within(Duration::from_millis(50), asked),
            8 => self.reply_within(Duration::from_secs(4), asked),
            _ => {
                self.reply_within(Duration::from_millis(50), asked);
                self.reply_within(Duration::from_secs(1), asked);
            }
        }
        Ok(())
    }

    /// A reply reaches some broker, which pushes it to the client if that is connected.
    pub(super) fn push_reply(&mut self, asked: &Asked) -> Result<(), String> {
        let wires = self.net.wires.iter().filter(|(_, wire)| {
            let is_broker = self.net.servers[wire.server].broker.is_some();
            is_broker && wire.server_is_there
        });
        let wires: Vec<u64> = wires.map(|(id, _)| *id).collect();
        if wires.is_empty() {
            return Ok(());
        }
        let wire = self.rng.pick(&wires);
        let bytes = self.push_of(asked)?;
        self.schedule(
            Duration::ZERO,
            Event::Net(NetEvent::ServerWrites(wire, bytes)),
        );
        Ok(())
    }

    /// Each push is answered with success, once; the engine counts them one by one.
    pub(super) fn note_push_answer(&mut self, code: i32, opaque: i32) -> Result<(), String> {
        if opaque < PUSHES {
            return Ok(());
        }
        if code != 0 {
            return Err(format!("a reply was pushed, and refused: {code}"));
        }
        self.book.pushes_taken += 1;
        Ok(())
    }

    pub(super) fn check_pushes(&self) -> Result<(), String> {
        let stats = self.engine.stats();
        let counted = stats.replied + stats.unmatched_replies;
        if counted == self.book.pushes_taken {
            return Ok(());
        }
        Err(format!(
            "{} pushes were answered, {counted} counted",
            self.book.pushes_taken
        ))
    }

    fn is_stored(&self, unique_key: &str) -> bool {
        let brokers = self.cluster.brokers().iter();
        brokers
            .flat_map(|broker| broker.messages())
            .any(|message| message.properties.get(property::UNIQ_KEY) == Some(unique_key))
    }

    fn reply_within(&mut self, most: Duration, asked: &Asked) {
        let after = self.rng.time(most);
        self.schedule(after, Event::Reply(asked.clone()));
    }

    fn push_of(&mut self, asked: &Asked) -> Result<Bytes, String> {
        let mut properties = Properties::new();
        let set = properties
            .set(property::CORRELATION_ID, &asked.correlation_id)
            .and_then(|()| properties.set(property::MSG_TYPE, "reply"));
        set.map_err(|error| error.to_string())?;
        let header = ReplyMessageRequest {
            topic: "DefaultCluster_REPLY_TOPIC".into(),
            properties: Some(properties.into_wire().into()),
            born_host: "/10.0.2.9:1".into(),
            store_host: "/10.0.1.1:10911".into(),
            ..Default::default()
        };
        self.book.pushes += 1;
        let code = RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT;
        let push = RemotingCommand::request(code, PUSHES + self.book.pushes, &header);
        let push = push.with_body(body(&asked.unique_key));
        let mut bytes = BytesMut::new();
        let encoded = push.encode(SerializeType::Json, &mut bytes);
        encoded.map_err(|error| error.to_string())?;
        Ok(bytes.freeze())
    }
}

/// The request in a frame, if it is one.
pub(super) fn request_in(frame: &Received) -> Option<Asked> {
    let command = frame.command().ok()?;
    if RequestCode(command.code) != RequestCode::SEND_MESSAGE_V2 {
        return None;
    }
    let header: SendMessageRequest<'_> = command.ext.decode().ok()?;
    let properties = Properties::from_wire(header.properties?.into_owned());
    Some(Asked {
        unique_key: properties.get(property::UNIQ_KEY)?.to_owned(),
        correlation_id: properties.get(property::CORRELATION_ID)?.to_owned(),
    })
}

/// Whether a reply is to the request of this key.
pub(super) fn check_reply(
    reply: &StoredMessage,
    asked: Option<&String>,
    unique_key: &str,
) -> Result<(), String> {
    if asked.map(String::as_str) == Some(unique_key) && reply.body == body(unique_key) {
        return Ok(());
    }
    Err(format!("{unique_key} got the reply of another: {reply:?}"))
}

fn body(unique_key: &str) -> String {
    format!("reply to {unique_key}")
}
