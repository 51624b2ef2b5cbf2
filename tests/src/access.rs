//! Who may ask: signatures, checked as servers check them (PROTOCOL G.5).

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use rocketmq_proto::{ResponseCode, SerializeType};
use sha1::Sha1;

use crate::{Flavour, request::Request};

const ACCESS_KEY: &str = "AccessKey";
const SIGNATURE: &str = "Signature";
const UNIQUE_KEY_QUERY: &str = "_UNIQUE_KEY_QUERY";

/// 5.x leaves the flag of queries by unique key out for clients up to this version (4.9.3).
const WITHOUT_KEY_QUERY_UP_TO: i32 = 399;

/// Who may send requests: access keys and their secrets. While there is none, everybody may.
pub type Accounts = BTreeMap<String, String>;

/// Why a request is refused: code and text.
pub(crate) fn refusal(
    accounts: &Accounts,
    flavour: Flavour,
    request: &Request<'_>,
) -> Option<(ResponseCode, String)> {
    if accounts.is_empty() {
        return None;
    }
    let fields = received_fields(request);
    let access_key = fields.get(ACCESS_KEY).map_or("", String::as_str);
    if access_key.is_empty() {
        let texts = ("No accessKey is configured", "username cannot be null.");
        return Some(denial(flavour, texts.0.into(), texts.1.into()));
    }
    let Some(secret) = accounts.get(access_key) else {
        let old = format!("No acl config for {access_key}");
        let new = format!("User:{access_key} is not found.");
        return Some(denial(flavour, old, new));
    };
    let expected = sign(secret, &content(flavour, request, &fields));
    if fields.get(SIGNATURE) != Some(&expected) {
        let old = format!("Check signature failed for accessKey={access_key}");
        return Some(denial(flavour, old, "check signature failed.".into()));
    }
    None
}

/// The fields as the server's map holds them: of a repeated one the last, and what stands empty in a
/// binary header is null, which Java prints as that word.
fn received_fields(request: &Request<'_>) -> BTreeMap<String, String> {
    let binary = request.frame.serialize_type() == SerializeType::Binary;
    let read = |value: String| match value.is_empty() && binary {
        true => "null".to_owned(),
        false => value,
    };
    let fields = request.view.ext.iter();
    fields
        .map(|(key, value)| (key.into_owned(), read(value.into_owned())))
        .collect()
}

fn content(flavour: Flavour, request: &Request<'_>, fields: &BTreeMap<String, String>) -> Vec<u8> {
    let skips_key_query = match flavour {
        Flavour::V4_9 => true,
        Flavour::V5_3 => request.view.version <= WITHOUT_KEY_QUERY_UP_TO,
    };
    let is_signed = |key: &str| key != SIGNATURE && !(skips_key_query && key == UNIQUE_KEY_QUERY);
    let mut content = Vec::new();
    for (_, value) in fields.iter().filter(|(key, _)| is_signed(key)) {
        content.extend_from_slice(value.as_bytes());
    }
    content.extend_from_slice(&request.frame.body());
    content
}

fn sign(secret: &str, content: &[u8]) -> String {
    // A key may have any length.
    let Ok(mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    STANDARD.encode(mac.chain_update(content).finalize().into_bytes())
}

/// 4.9 throws in a hook before the processor, 5.x answers for itself.
fn denial(flavour: Flavour, old: String, new: String) -> (ResponseCode, String) {
    match flavour {
        Flavour::V4_9 => (
            ResponseCode::SYSTEM_ERROR,
            format!(
                "org.apache.rocketmq.acl.common.AclException: {old}, \
                 org.apache.rocketmq.acl.plain.PlainPermissionManager.validate(PlainPermissionManager.java)"
            ),
        ),
        Flavour::V5_3 => (ResponseCode::NO_PERMISSION, new),
    }
}
