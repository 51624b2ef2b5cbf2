//! Which release a server behaves like.

use rocketmq_proto::{ResponseCode, version};

/// The release whose behaviour a server shows, where releases differ (PROTOCOL J).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Flavour {
    /// Apache RocketMQ 4.9.8.
    V4_9,
    /// Apache RocketMQ 5.3.3. The default.
    #[default]
    V5_3,
}

impl Flavour {
    /// The `version` number that answers carry (PROTOCOL A.5): 409 or 479.
    pub fn version(self) -> i32 {
        match self {
            Self::V4_9 => version::V4_9_8,
            Self::V5_3 => version::V5_3_3,
        }
    }

    /// The code for a bad topic or queue id (PROTOCOL J.2 rows 3 and 6).
    pub(crate) fn bad_argument(self) -> ResponseCode {
        match self {
            Self::V4_9 => ResponseCode::SYSTEM_ERROR,
            Self::V5_3 => ResponseCode::INVALID_PARAMETER,
        }
    }

    /// The code of a busy page cache (PROTOCOL J.2 row 15).
    pub(crate) fn page_cache_busy(self) -> ResponseCode {
        match self {
            Self::V4_9 => ResponseCode::SYSTEM_ERROR,
            Self::V5_3 => ResponseCode::SYSTEM_BUSY,
        }
    }

    /// 4.9.8 answers in the serialize type of the request, 5.x in its own (PROTOCOL A.4).
    pub(crate) fn mirrors_serialize_type(self) -> bool {
        self == Self::V4_9
    }

    /// 4.9 answers "not supported" and `[REJECTREQUEST]` even to oneway requests (PROTOCOL J.1).
    pub(crate) fn refuses_oneway_aloud(self) -> bool {
        self == Self::V4_9
    }

    /// What Java appends to texts that point to its questions-and-answers page.
    pub(crate) fn faq(self) -> &'static str {
        match self {
            Self::V4_9 => "\nSee http://rocketmq.apache.org/docs/faq/ for further details.",
            Self::V5_3 => {
                "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
            }
        }
    }
}
