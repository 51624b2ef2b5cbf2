//! Whether a server's answer means that it does not let us: a pure function over code and text
//! (PROTOCOL G.5, J.2).

use rocketmq_proto::ResponseCode;

/// What the class of every exception of the 4.9 access control is called.
const ACL_EXCEPTION: &str = "AclException";

/// Texts of code 16 that speak of the broker's state, not of us: begin and end.
const NOT_ABOUT_US: [(&str, &str); 4] = [
    ("the broker[", "sending message is forbidden"),
    ("the broker[", "sending transaction message is forbidden"),
    ("Sending message to topic[", "is forbidden"),
    ("recall failed, ", "operation is forbidden"),
];

/// Whether the answer refuses who we are: then another try gets the same answer, although its code
/// is among those worth one. 4.9 brokers answer 1 with the exception's name; 5.x servers answer 16
/// with a text of their own.
pub(crate) fn is_denial(code: ResponseCode, remark: &str) -> bool {
    let remark = remark.trim();
    match code {
        ResponseCode::SYSTEM_ERROR => remark.contains(ACL_EXCEPTION),
        ResponseCode::NO_PERMISSION => {
            let first = remark.lines().next().unwrap_or_default();
            let first = first.trim_end_matches(['.', ' ']);
            let is_known =
                |(begin, end): &(&str, &str)| first.starts_with(begin) && first.ends_with(end);
            !remark.is_empty() && !NOT_ABOUT_US.iter().any(is_known)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row a text of PROTOCOL G.5, J.1 and J.2.
    #[test]
    fn each_text_is_a_denial_or_not() {
        let acl = "org.apache.rocketmq.acl.common.AclException: ";
        let of_4_9 = [
            "Check signature failed for accessKey=X, org.apache.rocketmq.acl.plain.X.y(X.java:1)",
            "No accessKey is configured",
            "No acl config for X",
            "No PlainAccessResource for accessKey=X",
        ];
        for text in of_4_9 {
            let remark = format!("{acl}{text}");
            assert!(is_denial(ResponseCode::SYSTEM_ERROR, &remark), "{remark}");
            assert!(!is_denial(ResponseCode::SYSTEM_BUSY, &remark), "{remark}");
        }
        let rows = [
            (ResponseCode::NO_PERMISSION, "check signature failed.", true),
            (ResponseCode::NO_PERMISSION, "User:X is not found.", true),
            (
                ResponseCode::NO_PERMISSION,
                "User:X has no permission to access Topic:orders from 10.0.0.1, not match.",
                true,
            ),
            (
                ResponseCode::NO_PERMISSION,
                "the broker[10.0.0.1] sending message is forbidden",
                false,
            ),
            (
                ResponseCode::NO_PERMISSION,
                "the broker[10.0.0.1] sending transaction message is forbidden",
                false,
            ),
            (
                ResponseCode::NO_PERMISSION,
                "Sending message to topic[T] is forbidden.",
                false,
            ),
            (
                ResponseCode::NO_PERMISSION,
                "recall failed, operation is forbidden",
                false,
            ),
            (ResponseCode::NO_PERMISSION, "", false),
            (
                ResponseCode::SYSTEM_ERROR,
                "create mapped file failed, server is busy or broken.",
                false,
            ),
            (ResponseCode::SYSTEM_ERROR, "", false),
            (ResponseCode::TOPIC_NOT_EXIST, "AclException", false),
        ];
        for (code, remark, expected) in rows {
            assert_eq!(is_denial(code, remark), expected, "{code}: {remark}");
        }
    }
}
