//! The heads of a producer's sends, most of each written beforehand.

use std::borrow::Cow;

use bytes::BytesMut;

use super::encode::{Head, USUAL_ROOM, check_lengths, encode_head, put_lengths};
use super::{EncodeError, Flags};
use crate::frame::{FrameLimits, PREFIX_LEN, SerializeType};
use crate::header::binary::{self, BinarySink};
use crate::header::json::{self, JsonSink};
use crate::header::{FieldSink, SendMessageRequest};
use crate::writer::{Writer, append};

/// Writes the heads of one producer's usual sends (PROTOCOL B.2, short keys): single messages that no
/// consumer sends back.
///
/// What such heads say alike is written once. They are to the byte those of [`encode_head`].
#[derive(Clone, Debug)]
pub struct SendHeads {
    ty: SerializeType,
    head: Head<'static>,
    /// What all say alike, and nothing else.
    alike: SendMessageRequest<'static>,
    /// From the start of the frame up to the value of the topic; then from value to value.
    to_topic: BytesMut,
    to_queue_id: BytesMut,
    to_flag: BytesMut,
    to_broker_name: BytesMut,
    /// Of JSON alone, which has these numbers behind the fields: from the flags up to the opaque, and the end.
    to_opaque: BytesMut,
    end: BytesMut,
    /// System flag and time of birth as they stand in `to_flag`.
    born: (i32, i64),
}

/// What tells a producer's usual sends apart. [`SendMessageRequest`] has more about the fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct UsualSend<'a> {
    /// The topic, with its namespace.
    pub topic: &'a str,
    /// The queue.
    pub queue_id: i32,
    /// Bits of PROTOCOL D.3.
    pub sys_flag: i32,
    /// Milliseconds since 1970.
    pub born_timestamp: i64,
    /// The user's own number.
    pub flag: i32,
    /// The properties as one string.
    pub properties: &'a str,
    /// The broker.
    pub broker_name: &'a str,
}

/// A sink in pieces, each up to where a value begins.
pub(crate) trait PieceSink: FieldSink {
    /// The end of a piece: a key, without its value.
    fn key(&mut self, key: &str);

    /// A piece that such a sink wrote before.
    fn piece(&mut self, piece: &[u8]);

    /// The value behind a piece.
    fn text_value(&mut self, value: &str);

    /// The value behind a piece.
    fn int_value(&mut self, value: i64);
}

impl SendHeads {
    /// Heads like `head`, except for opaque and flags, with group, default topic, its number of queues and unit mode
    /// from `fields`.
    ///
    /// # Errors
    ///
    /// Those of [`encode_head`].
    pub fn new(
        ty: SerializeType,
        head: Head<'static>,
        fields: &SendMessageRequest<'_>,
    ) -> Result<Self, EncodeError> {
        let alike = SendMessageRequest {
            producer_group: Cow::Owned(fields.producer_group.clone().into_owned()),
            default_topic: Cow::Owned(fields.default_topic.clone().into_owned()),
            default_topic_queue_nums: fields.default_topic_queue_nums,
            reconsume_times: Some(0),
            unit_mode: fields.unit_mode,
            batch: Some(false),
            ..SendMessageRequest::default()
        };
        let head = Head {
            remark: None,
            ..head
        };
        // What would be refused each time is refused here.
        let (mut begin, limits) = (BytesMut::new(), FrameLimits::default());
        encode_head(&mut begin, ty, &head, &alike, &[], 0, limits)?;
        begin.truncate(PREFIX_LEN + binary::FIXED_LEN);
        if ty == SerializeType::Json {
            begin = written(|out| json::begin(out, head.code));
        }
        Ok(Self {
            ty,
            to_topic: piece(begin, ty, true, |sink| {
                sink.text("a", &alike.producer_group);
                sink.key("b");
            }),
            to_queue_id: piece(BytesMut::new(), ty, false, |sink| {
                sink.text("c", &alike.default_topic);
                sink.int("d", alike.default_topic_queue_nums.into());
                sink.key("e");
            }),
            born: (0, 0),
            to_flag: to_flag(BytesMut::new(), ty, (0, 0)),
            to_broker_name: piece(BytesMut::new(), ty, false, |sink| {
                sink.int("j", 0);
                if let Some(unit_mode) = alike.unit_mode {
                    sink.bool("k", unit_mode);
                }
                sink.bool("m", false);
                sink.key("n");
            }),
            to_opaque: written(|out| json::from_flags_to_opaque(out, Some(head.language))),
            end: written(|out| json::end(out, head.version)),
            head,
            alike,
        })
    }

    /// [`encode_head`] for a usual send.
    ///
    /// # Errors
    ///
    /// Those of [`encode_head`]; `out` is unchanged then.
    pub fn encode(
        &mut self,
        out: &mut BytesMut,
        opaque: i32,
        flags: Flags,
        send: &UsualSend<'_>,
        body_len: usize,
        limits: FrameLimits,
    ) -> Result<(), EncodeError> {
        let born = (send.sys_flag, send.born_timestamp);
        if born != self.born {
            self.born = born;
            self.to_flag = to_flag(std::mem::take(&mut self.to_flag), self.ty, born);
        }
        let start = out.len();
        // What properties take beyond the usual, some of it escaped.
        let room = USUAL_ROOM.max(USUAL_ROOM / 2 + 2 * send.properties.len());
        out.resize(start + room, 0);
        let room = &mut out[start..];
        let written = match self.ty {
            SerializeType::Json => self.write_json(room, opaque, flags, send),
            SerializeType::Binary => self.write_binary(room, opaque, flags, send),
        };
        if let Some(len) = written.filter(|len| check_lengths(*len, body_len, limits).is_ok()) {
            put_lengths(&mut out[start..], self.ty, len, body_len);
            out.truncate(start + len);
            return Ok(());
        }
        out.truncate(start);
        self.encode_any(out, opaque, flags, send, body_len, limits)
    }

    #[cold]
    fn encode_any(
        &self,
        out: &mut BytesMut,
        opaque: i32,
        flags: Flags,
        send: &UsualSend<'_>,
        body_len: usize,
        limits: FrameLimits,
    ) -> Result<(), EncodeError> {
        let (alike, head) = (&self.alike, self.head);
        let head = Head {
            opaque,
            flags,
            ..head
        };
        let fields = SendMessageRequest {
            producer_group: Cow::Borrowed(&alike.producer_group),
            default_topic: Cow::Borrowed(&alike.default_topic),
            default_topic_queue_nums: alike.default_topic_queue_nums,
            reconsume_times: alike.reconsume_times,
            unit_mode: alike.unit_mode,
            batch: alike.batch,
            ..SendMessageRequest::from(*send)
        };
        encode_head(out, self.ty, &head, &fields, &[], body_len, limits)
    }

    #[inline(never)]
    fn write_json(
        &self,
        room: &mut [u8],
        opaque: i32,
        flags: Flags,
        send: &UsualSend<'_>,
    ) -> Option<usize> {
        let out = &mut Writer::new(room);
        self.write_fields(&mut JsonSink::new(out, false), send);
        out.put(b"\"},\"flag\":");
        json::number(out, flags.0);
        out.put(&self.to_opaque);
        json::number(out, opaque);
        out.put(&self.end);
        out.finish()
    }

    #[inline(never)]
    fn write_binary(
        &self,
        room: &mut [u8],
        opaque: i32,
        flags: Flags,
        send: &UsualSend<'_>,
    ) -> Option<usize> {
        let out = &mut Writer::new(room);
        let mut sink = BinarySink::new(out);
        self.write_fields(&mut sink, send);
        if sink.error.is_some() {
            return None;
        }
        let end = out.finish()?;
        binary::set_numbers(room, opaque, flags, end);
        Some(end)
    }

    #[inline(always)]
    fn write_fields(&self, sink: &mut impl PieceSink, send: &UsualSend<'_>) {
        sink.piece(&self.to_topic);
        sink.text_value(send.topic);
        sink.piece(&self.to_queue_id);
        sink.int_value(send.queue_id.into());
        sink.piece(&self.to_flag);
        sink.int_value(send.flag.into());
        sink.text("i", send.properties);
        sink.piece(&self.to_broker_name);
        sink.text_value(send.broker_name);
    }
}

impl<'a> From<UsualSend<'a>> for SendMessageRequest<'a> {
    fn from(send: UsualSend<'a>) -> Self {
        Self {
            topic: Cow::Borrowed(send.topic),
            queue_id: send.queue_id,
            sys_flag: send.sys_flag,
            born_timestamp: send.born_timestamp,
            flag: send.flag,
            properties: Some(Cow::Borrowed(send.properties)),
            broker_name: Some(Cow::Borrowed(send.broker_name)),
            ..Self::default()
        }
    }
}

/// These seldom change from one message to the next.
fn to_flag(mut room: BytesMut, ty: SerializeType, (sys_flag, born): (i32, i64)) -> BytesMut {
    room.clear();
    piece(room, ty, false, |sink| {
        sink.int("f", sys_flag.into());
        sink.int("g", born);
        sink.key("h");
    })
}

fn piece(
    before: BytesMut,
    ty: SerializeType,
    is_first: bool,
    write: impl Fn(&mut dyn PieceSink),
) -> BytesMut {
    let mut piece = before;
    append(&mut piece, USUAL_ROOM, |out| match ty {
        SerializeType::Json => write(&mut JsonSink::new(out, is_first)),
        SerializeType::Binary => write(&mut BinarySink::new(out)),
    });
    piece
}

fn written(write: impl Fn(&mut Writer<'_>)) -> BytesMut {
    let mut piece = BytesMut::new();
    append(&mut piece, USUAL_ROOM, write);
    piece
}

#[cfg(test)]
#[path = "send_heads_tests.rs"]
mod tests;
