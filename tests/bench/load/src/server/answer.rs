//! Answers, made once and then given a correlation number each.

use std::collections::HashMap;

use bytes::BytesMut;
use rocketmq_bench::samples;
use rocketmq_proto::header::Fields;
use rocketmq_proto::{RequestCode, SerializeType};

use super::request::Request;

/// Where a binary header has its correlation number.
const OPAQUE: std::ops::Range<usize> = 13..17;

/// The answers to everything a producer asks.
#[derive(Clone, Debug)]
pub struct Answers {
    done: Template,
    route: Template,
    sent: Template,
    /// By the number of their messages.
    batches: HashMap<usize, Template>,
    /// Whether messages get no answer, ever.
    hold: bool,
}

/// One answer in both forms.
#[derive(Clone, Debug)]
struct Template {
    /// What comes before and behind the correlation number, without the length of the frame.
    json: [Vec<u8>; 2],
    binary: Vec<u8>,
}

impl Answers {
    /// Every topic has four queues on each of these brokers (`host:port`).
    pub fn new(brokers: &[String], hold: bool) -> Self {
        Self {
            done: Template::new(&(), b""),
            route: Template::new(&(), route(brokers).as_bytes()),
            sent: Template::sent(1),
            batches: HashMap::new(),
            hold,
        }
    }

    /// Writes the answer to `out`, if the request gets one.
    pub(crate) fn answer(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        if request.oneway {
            return;
        }
        let template = match RequestCode(request.code) {
            RequestCode::SEND_MESSAGE
            | RequestCode::SEND_MESSAGE_V2
            | RequestCode::SEND_BATCH_MESSAGE
                if self.hold =>
            {
                return;
            }
            RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 => &self.sent,
            RequestCode::SEND_BATCH_MESSAGE => {
                let members = request.members();
                let of_size = self.batches.entry(members);
                of_size.or_insert_with(|| Template::sent(members))
            }
            RequestCode::GET_ROUTEINFO_BY_TOPIC => &self.route,
            _ => &self.done,
        };
        template.write(request, out);
    }
}

impl Template {
    fn new(fields: &impl Fields, body: &[u8]) -> Self {
        const KEY: &[u8] = br#""opaque":"#;
        let json = frame(SerializeType::Json, fields, body);
        let at = memchr::memmem::find(&json, KEY).expect("every header has one") + KEY.len();
        Self {
            json: [json[4..at].to_vec(), json[at + 1..].to_vec()],
            binary: frame(SerializeType::Binary, fields, body),
        }
    }

    fn sent(members: usize) -> Self {
        let mut fields = samples::sent();
        let ids = vec![samples::OFFSET_ID; members.max(1)];
        fields.0.msg_id = ids.join(",").into();
        Self::new(&fields, b"")
    }

    fn write(&self, request: &Request<'_>, out: &mut Vec<u8>) {
        if request.headers == SerializeType::Binary {
            let begin = out.len();
            out.extend_from_slice(&self.binary);
            out[begin..][OPAQUE].copy_from_slice(&request.opaque.to_be_bytes());
            return;
        }
        let [before, behind] = &self.json;
        let mut digits = itoa::Buffer::new();
        let opaque = digits.format(request.opaque).as_bytes();
        // The template has one digit there.
        let header = u32::from_be_bytes(*before.first_chunk().expect("it begins with a word"));
        let header = header + opaque.len() as u32 - 1;
        let len = before.len() + opaque.len() + behind.len();
        out.extend_from_slice(&(len as u32).to_be_bytes());
        out.extend_from_slice(&header.to_be_bytes());
        out.extend_from_slice(&before[4..]);
        out.extend_from_slice(opaque);
        out.extend_from_slice(behind);
    }
}

/// A whole one with the correlation number 0.
fn frame(headers: SerializeType, fields: &impl Fields, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    samples::answer(&mut out, headers, 0, fields, body);
    out.to_vec()
}

/// With `enableActingMaster`: rocketmq-client-rust refuses a route without.
fn route(brokers: &[String]) -> String {
    let each = |one: &dyn Fn(usize, &String) -> String| {
        let all: Vec<_> = brokers
            .iter()
            .enumerate()
            .map(|(n, at)| one(n, at))
            .collect();
        all.join(",")
    };
    let datas = each(&|n, address| {
        format!(
            r#"{{"brokerAddrs":{{"0":"{address}"}},"brokerName":"broker-{n}","cluster":"bench","enableActingMaster":false}}"#
        )
    });
    let queues = each(&|n, _| {
        format!(
            r#"{{"brokerName":"broker-{n}","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}}"#
        )
    });
    format!(r#"{{"brokerDatas":[{datas}],"filterServerTable":{{}},"queueDatas":[{queues}]}}"#)
}

#[cfg(test)]
mod tests {
    use rocketmq_proto::header::SendAnswer;
    use rocketmq_proto::{FrameDecoder, TopicRoute};

    use super::*;

    fn answered(request: &Request<'_>, hold: bool) -> Option<rocketmq_proto::Frame> {
        let mut out = Vec::new();
        Answers::new(&["127.0.0.1:1".to_owned()], hold).answer(request, &mut out);
        let mut bytes = BytesMut::from(&out[..]);
        let frame = FrameDecoder::default().next_frame(&mut bytes);
        assert!(bytes.is_empty(), "one frame and nothing behind it");
        frame.expect("it is sound")
    }

    #[test]
    fn every_request_gets_its_answer_in_its_own_form() {
        for headers in [SerializeType::Json, SerializeType::Binary] {
            for opaque in [0, 7, -1, i32::MIN, i32::MAX] {
                for code in [10, 310, 320] {
                    let request = Request {
                        headers,
                        code,
                        opaque,
                        oneway: false,
                        body: &[0, 0, 0, 4, 0, 0, 0, 5, 1],
                    };
                    let frame = answered(&request, false).expect("there is one");
                    let command = frame.command().expect("it is sound");
                    assert_eq!((command.opaque, command.code), (opaque, 0));
                    let answer: SendAnswer<'_> = command.ext.decode().expect("it is sound");
                    let ids = if code == 320 { 2 } else { 1 };
                    assert_eq!(answer.msg_id.split(',').count(), ids);
                    assert!(answered(&request, true).is_none(), "held back");
                    let oneway = Request {
                        oneway: true,
                        ..request
                    };
                    assert!(answered(&oneway, false).is_none());
                }
                let request = Request {
                    headers,
                    code: RequestCode::GET_ROUTEINFO_BY_TOPIC.0,
                    opaque,
                    oneway: false,
                    body: b"",
                };
                let frame = answered(&request, true).expect("there is one");
                let route = TopicRoute::decode(&frame.body()).expect("it is a route");
                assert_eq!(route.brokers.len(), 1);
            }
        }
    }
}
