//! A command as it stands in its frame.

use std::borrow::Cow;

use super::{ExtFields, Flags};
use crate::code::{LanguageCode, RequestCode, ResponseCode};
use crate::frame::SerializeType;
use crate::header::{HeaderError, binary, json};

/// A command that was read, borrowed from its frame: reading it allocates nothing, unless the remark holds escapes.
#[derive(Clone, Debug, Default)]
pub struct CommandView<'a> {
    /// Request or response code, as [`flags`](Self::flags) says.
    pub code: i32,
    /// Who speaks; `None` for a name or number this crate does not know.
    pub language: Option<LanguageCode>,
    /// The peer's release, see [`version`](crate::version).
    pub version: i32,
    /// Matches answers with requests.
    pub opaque: i32,
    /// Request, response or oneway.
    pub flags: Flags,
    /// Error text. A binary header cannot tell an empty one from none.
    pub remark: Option<Cow<'a, str>>,
    /// The header's own fields.
    pub ext: ExtFields<'a>,
}

impl<'a> CommandView<'a> {
    /// Reads a header that was cut out of its frame already; [`Frame::command`](crate::Frame::command) is the usual
    /// way.
    ///
    /// # Errors
    ///
    /// The header breaks its own syntax.
    pub fn decode(ty: SerializeType, header: &'a [u8]) -> Result<Self, HeaderError> {
        match ty {
            SerializeType::Json => json::decode(header),
            SerializeType::Binary => binary::decode(header),
        }
    }

    /// The code of a request.
    pub fn request_code(&self) -> RequestCode {
        RequestCode(self.code)
    }

    /// The code of an answer.
    pub fn response_code(&self) -> ResponseCode {
        ResponseCode(self.code)
    }
}
