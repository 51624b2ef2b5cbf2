//! Commands: what a frame's header says, and the encoder of a head (PROTOCOL A.2).

mod encode;
mod entries;
mod ext;
mod owned;
mod send_heads;
mod view;

pub(crate) use encode::HeadParts;
pub use encode::{EncodeError, Head, encode_head};
pub(crate) use entries::Ends;
pub use ext::{ExtFields, ExtFieldsIter};
pub use owned::RemotingCommand;
pub(crate) use send_heads::PieceSink;
pub use send_heads::{SendHeads, UsualSend};
pub use view::CommandView;

/// The `flag` of a command (PROTOCOL A.6).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Flags(pub i32);

impl Flags {
    /// A request that wants an answer.
    pub const REQUEST: Self = Self(0);
    /// An answer: bit 0.
    pub const RESPONSE: Self = Self(1);
    /// A request that gets no answer, not even an error: bit 1.
    pub const ONEWAY: Self = Self(2);

    /// Whether bit 0 is set. Test this before looking at the opaque: servers number their own requests.
    pub const fn is_response(self) -> bool {
        self.0 & Self::RESPONSE.0 != 0
    }

    /// Whether bit 1 is set.
    pub const fn is_oneway(self) -> bool {
        self.0 & Self::ONEWAY.0 != 0
    }
}
