//! What has to be known of a request, found in its raw bytes.

use memchr::memmem::Finder;
use rocketmq_proto::SerializeType;

/// Two length words stand before the header.
const PREFIX: usize = 8;
/// Longer ones are refused: a peer that sends them has lost its place.
const MAX_FRAME: usize = 64 << 20;

/// A request whose fields nobody has read.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) headers: SerializeType,
    pub(crate) code: i32,
    pub(crate) opaque: i32,
    pub(crate) oneway: bool,
    pub(crate) body: &'a [u8],
}

/// Looks for numbers in JSON headers. A key in quotes cannot stand within a string, where its
/// quotes would be escaped; a field of the same name has its value in quotes.
#[derive(Debug)]
pub(crate) struct Scanner {
    code: Finder<'static>,
    flag: Finder<'static>,
    opaque: Finder<'static>,
}

/// How many bytes the frame at the beginning of `bytes` has, once its length has arrived.
pub(crate) fn frame_len(bytes: &[u8]) -> Option<usize> {
    let word = bytes.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*word) as usize + 4)
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            code: Finder::new(br#""code":"#),
            flag: Finder::new(br#""flag":"#),
            opaque: Finder::new(br#""opaque":"#),
        }
    }
}

impl Scanner {
    /// Reads one whole frame; `None` if it is none.
    pub(crate) fn read<'a>(&self, frame: &'a [u8]) -> Option<Request<'a>> {
        let word = u32::from_be_bytes(frame.get(4..PREFIX)?.try_into().ok()?);
        let (header, body) = frame[PREFIX..].split_at_checked(word as usize & 0xFF_FFFF)?;
        let (headers, code, flag, opaque) = if word >> 24 == 0 {
            let [code, flag, opaque] =
                [&self.code, &self.flag, &self.opaque].map(|key| number(header, key));
            (SerializeType::Json, code?, flag?, opaque?)
        } else {
            let code = i16::from_be_bytes(*header.first_chunk()?).into();
            let int = |at: usize| Some(i32::from_be_bytes(*header.get(at..)?.first_chunk()?));
            (SerializeType::Binary, code, int(9)?, int(5)?)
        };
        Some(Request {
            headers,
            code,
            opaque,
            oneway: flag & 2 != 0,
            body,
        })
    }
}

impl Request<'_> {
    /// How many messages the body of a batch has: each begins with its length.
    pub(crate) fn members(&self) -> usize {
        let mut rest = self.body;
        let mut members = 0;
        while let Some(word) = rest.first_chunk::<4>() {
            let Some(behind) = rest.get((u32::from_be_bytes(*word) as usize).max(4)..) else {
                break;
            };
            rest = behind;
            members += 1;
        }
        members
    }
}

/// Whether no sound peer sends so long a frame.
pub(crate) fn is_absurd(len: usize) -> bool {
    !(PREFIX..=MAX_FRAME).contains(&len)
}

/// The number behind the first occurrence of the key that has one.
fn number(header: &[u8], key: &Finder<'_>) -> Option<i32> {
    key.find_iter(header).find_map(|at| {
        let text = &header[at + key.needle().len()..];
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
        let number = digits.fold(None, |number, digit| {
            Some(number.unwrap_or(0_i64) * 10 + i64::from(digit - b'0'))
        })?;
        i32::try_from(if negative { -number } else { number }).ok()
    })
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use rocketmq_bench::samples;
    use rocketmq_proto::header::SendMessageRequestV1;
    use rocketmq_proto::{Flags, FrameLimits, Head, encode_head};

    use super::*;

    #[test]
    fn a_request_is_read_in_both_forms_whatever_its_fields_say() {
        let mut fields = SendMessageRequestV1::default();
        fields.0.topic = r#"a "code":1,"opaque":2,"flag":3 b"#.into();
        for headers in [SerializeType::Json, SerializeType::Binary] {
            for (opaque, oneway) in [(7, false), (-12, true), (i32::MIN, false), (i32::MAX, true)] {
                let flags = if oneway {
                    Flags::ONEWAY
                } else {
                    Flags::REQUEST
                };
                let head = Head {
                    code: 10,
                    flags,
                    ..samples::request_head(opaque)
                };
                let mut frame = BytesMut::new();
                let limits = FrameLimits::default();
                encode_head(&mut frame, headers, &head, &fields, &[], 4, limits).expect("it fits");
                frame.extend_from_slice(&[0, 0, 0, 4]);
                assert_eq!(frame_len(&frame), Some(frame.len()));
                let request = Scanner::default().read(&frame).expect("it is one");
                assert_eq!(
                    (request.headers, request.code, request.opaque),
                    (headers, 10, opaque)
                );
                assert_eq!((request.oneway, request.members()), (oneway, 1));
            }
        }
    }
}
