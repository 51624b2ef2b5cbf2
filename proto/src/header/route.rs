//! Asking a name server (PROTOCOL B.1, B.13).

use std::borrow::Cow;

use super::macros::header;

header! {
    /// GET_ROUTEINFO_BY_TOPIC (105). Its answer has a body, see [`TopicRoute`](crate::TopicRoute).
    pub struct GetRouteInfoRequest<'a> {
        /// The topic, with its namespace.
        topic: Cow<'a, str> = "topic",
        /// Asks servers from 4.9.4 on for quoted keys; not needed with a version of 401 or more. Java leaves it out.
        accept_standard_json_only: Option<bool> = "acceptStandardJsonOnly",
    }
}

header! {
    /// GET_KV_CONFIG (101); a missing key is answered with code 22.
    pub struct GetKvConfigRequest<'a> {
        /// For orderly topics `ORDER_TOPIC_CONFIG`.
        namespace: Cow<'a, str> = "namespace",
        /// For orderly topics the topic.
        key: Cow<'a, str> = "key",
    }
}

header! {
    /// The answer to GET_KV_CONFIG.
    pub struct GetKvConfigResponse<'a> {
        /// The value.
        value: Option<Cow<'a, str>> = "value",
    }
}
