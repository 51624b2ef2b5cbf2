use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use thiserror::Error;

/// Java writes the padding and reads with or without it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest handle that is looked at: topic, broker and id are short.
const MAX_LEN: usize = 4096;

/// The handle that a 5.x broker gives for a delayed message, to take it back before it is delivered
/// (PROTOCOL B.14). Its text is URL-safe Base64.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RecallHandle {
    /// The topic that the message was sent to.
    pub topic: String,
    /// The name of the broker that holds it.
    pub broker: String,
    /// When it is due, milliseconds since 1970. (The text holds one more.)
    pub deliver_at_ms: i64,
    /// The message's unique id.
    pub unique_id: String,
}

/// The text is no handle of a kind that this version knows.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("recall handle is invalid; pass it exactly as the receipt of the delayed message gave it")]
pub struct InvalidRecallHandle;

impl RecallHandle {
    /// The text to hand to a broker.
    pub fn encode(&self) -> String {
        BASE64.encode(self.plain())
    }

    /// Reads the text of a handle.
    ///
    /// # Errors
    ///
    /// When it is not Base64 of a first-version handle.
    pub fn decode(handle: &str) -> Result<Self, InvalidRecallHandle> {
        if handle.len() > MAX_LEN {
            return Err(InvalidRecallHandle);
        }
        let plain = BASE64.decode(handle).map_err(|_| InvalidRecallHandle)?;
        let plain = String::from_utf8(plain).map_err(|_| InvalidRecallHandle)?;
        let mut fields = plain.split(' ');
        let mut field = || {
            fields
                .next()
                .filter(|text| !text.is_empty())
                .ok_or(InvalidRecallHandle)
        };
        if field()? != "v1" {
            return Err(InvalidRecallHandle);
        }
        let (topic, broker) = (field()?, field()?);
        let marked: i64 = field()?.parse().map_err(|_| InvalidRecallHandle)?;
        let unique_id = field()?;
        if fields.next().is_some() {
            return Err(InvalidRecallHandle);
        }
        Ok(Self {
            topic: topic.to_owned(),
            broker: broker.to_owned(),
            deliver_at_ms: marked.checked_sub(1).ok_or(InvalidRecallHandle)?,
            unique_id: unique_id.to_owned(),
        })
    }

    fn plain(&self) -> String {
        let marked = self.deliver_at_ms.saturating_add(1);
        format!(
            "v1 {} {} {marked} {}",
            self.topic, self.broker, self.unique_id
        )
    }
}

impl fmt::Display for RecallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.encode())
    }
}

impl FromStr for RecallHandle {
    type Err = InvalidRecallHandle;

    fn from_str(handle: &str) -> Result<Self, InvalidRecallHandle> {
        Self::decode(handle)
    }
}
