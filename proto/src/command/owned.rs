//! A command that owns its parts: for servers, tools and tests.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::encode::encode_parts;
use super::{CommandView, EncodeError, Flags, HeadParts};
use crate::code::{LanguageCode, RequestCode, ResponseCode, version};
use crate::frame::{Frame, FrameLimits, SerializeType};
use crate::header::{FieldSink, Fields, HeaderError};

/// More fields than this are refused when a frame is read: a map of very short ones takes many times the memory of the
/// frame.
const MAX_EXT_FIELDS: usize = 65_536;

/// A whole command, body included. Slower than [`encode_head`](super::encode_head) and [`CommandView`], which the hot
/// path uses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemotingCommand {
    /// Request or response code.
    pub code: i32,
    /// Who speaks; `None` for a name or number this crate does not know. Written, `None` leaves the JSON key out, and is
    /// 255 in a binary header.
    pub language: Option<LanguageCode>,
    /// See [`crate::version`].
    pub version: i32,
    /// Matches answers with requests.
    pub opaque: i32,
    /// Request, response or oneway.
    pub flags: Flags,
    /// Error text.
    pub remark: Option<String>,
    /// The header's own fields. A binary header cannot tell an empty map from `None`.
    pub ext_fields: Option<BTreeMap<String, String>>,
    /// What follows the header; empty when nothing does.
    pub body: Bytes,
}

impl RemotingCommand {
    /// A request, said to come from [`LanguageCode::RUST`] and [`version::V4_9_8`], without a body.
    pub fn request(code: RequestCode, opaque: i32, fields: &impl Fields) -> Self {
        Self::new(code.0, opaque, Flags::REQUEST).with_fields(fields)
    }

    /// The answer to the request that had this opaque, without fields and body.
    pub fn response(opaque: i32, code: ResponseCode, remark: Option<&str>) -> Self {
        Self {
            remark: remark.map(str::to_owned),
            ..Self::new(code.0, opaque, Flags::RESPONSE)
        }
    }

    /// Copies the header of a frame, and shares its body.
    ///
    /// # Errors
    ///
    /// The header breaks its own syntax, or has more than 65 536 ext fields.
    pub fn from_frame(frame: &Frame) -> Result<Self, HeaderError> {
        let view = frame.command()?;
        if view.ext.iter().nth(MAX_EXT_FIELDS).is_some() {
            return Err(HeaderError::TooManyFields {
                limit: MAX_EXT_FIELDS,
            });
        }
        let ext_fields = view.ext.is_present().then(|| {
            view.ext
                .iter()
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect()
        });
        let CommandView {
            code,
            language,
            version,
            opaque,
            flags,
            remark,
            ..
        } = view;
        let remark = remark.map(Into::into);
        Ok(Self {
            code,
            language,
            version,
            opaque,
            flags,
            remark,
            ext_fields,
            body: frame.body(),
        })
    }

    fn new(code: i32, opaque: i32, flags: Flags) -> Self {
        Self {
            code,
            language: Some(LanguageCode::RUST),
            version: version::V4_9_8,
            opaque,
            flags,
            remark: None,
            ext_fields: None,
            body: Bytes::new(),
        }
    }

    /// Adds fields to those that are there.
    #[must_use]
    pub fn with_fields<F: Fields>(mut self, fields: &F) -> Self {
        let mut map = MapSink(self.ext_fields.take().unwrap_or_default());
        fields.write(&mut map);
        self.ext_fields = (F::ALWAYS || !map.0.is_empty()).then_some(map.0);
        self
    }

    /// Adds or replaces one field.
    #[must_use]
    pub fn with_field(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.ext_fields
            .get_or_insert_default()
            .insert(key.into(), value.into());
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Writes the whole frame to the end of `out`, within [`FrameLimits::default`].
    ///
    /// # Errors
    ///
    /// Those of [`encode_head`](super::encode_head); `out` is unchanged.
    pub fn encode(&self, ty: SerializeType, out: &mut BytesMut) -> Result<(), EncodeError> {
        self.encode_within(ty, FrameLimits::default(), out)
    }

    /// Writes the whole frame to the end of `out`, within `limits`.
    ///
    /// # Errors
    ///
    /// Those of [`encode_head`](super::encode_head); `out` is unchanged.
    pub fn encode_within(
        &self,
        ty: SerializeType,
        limits: FrameLimits,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let Self {
            code,
            language,
            version,
            opaque,
            flags,
            ..
        } = *self;
        let head = HeadParts {
            code,
            language,
            version,
            opaque,
            flags,
            remark: self.remark.as_deref(),
        };
        match &self.ext_fields {
            Some(map) => encode_parts(out, ty, &head, map, &[], self.body.len(), limits)?,
            None => encode_parts(out, ty, &head, &(), &[], self.body.len(), limits)?,
        }
        out.extend_from_slice(&self.body);
        Ok(())
    }

    /// Whether this is an answer.
    pub fn is_response(&self) -> bool {
        self.flags.is_response()
    }
}

impl Fields for BTreeMap<String, String> {
    const ALWAYS: bool = true;

    fn write(&self, sink: &mut impl FieldSink) {
        for (key, value) in self {
            sink.entry(key, value);
        }
    }
}

struct MapSink(BTreeMap<String, String>);

impl FieldSink for MapSink {
    fn text(&mut self, key: &str, value: &str) {
        self.0.insert(key.to_owned(), value.to_owned());
    }

    fn int(&mut self, key: &str, value: i64) {
        self.0.insert(key.to_owned(), value.to_string());
    }
}
