//! Signed requests (PROTOCOL G.5), feature `acl`.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::header::{FieldSink, Fields};

/// The ext field that names who signed.
pub const ACCESS_KEY: &str = "AccessKey";
/// The ext field that carries the signature.
pub const SIGNATURE: &str = "Signature";
/// The ext field of a temporary token.
pub const SECURITY_TOKEN: &str = "SecurityToken";

/// Who signs. Secret and token never show in `Debug`, nor does their length.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    access_key: String,
    secret_key: String,
    security_token: Option<String>,
}

impl Credentials {
    /// Signs as `access_key` with `secret_key`.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            security_token: None,
        }
    }

    /// Adds the token of temporary credentials, sent with every request. An empty one is none.
    pub fn with_security_token(mut self, token: impl Into<String>) -> Self {
        let token = token.into();
        self.security_token = (!token.is_empty()).then_some(token);
        self
    }

    /// Who signs; goes into ext field [`ACCESS_KEY`].
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The token, where there is one; goes into ext field [`SECURITY_TOKEN`].
    pub fn security_token(&self) -> Option<&str> {
        self.security_token.as_deref()
    }

    /// The signature of a request, for ext field [`SIGNATURE`]: Base64 of an HMAC-SHA1 over the
    /// values of all ext fields in the order of their keys, and the body as it goes over the wire.
    ///
    /// `extra` are the fields beside those of the header, as namespace or zone; what was signed must
    /// be what is sent, so sign last, and again after every change. Access key and token belong to
    /// it: they are added where they are not among the fields already. An empty value adds nothing to
    /// the signed bytes, but a 5.x server reads it as `null` in a binary header and refuses the
    /// signature: leave empty fields out there.
    ///
    /// The body may be in parts; they are signed one after the other.
    pub fn sign(&self, fields: &impl Fields, extra: &[(&str, &str)], body: &[&[u8]]) -> String {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha1>::new_from_slice(self.secret_key.as_bytes())
            .expect("HMAC takes keys of any length");
        for value in self.collect(fields, extra).values_by_key() {
            mac.update(value.as_bytes());
        }
        for part in body {
            mac.update(part);
        }
        STANDARD.encode(mac.finalize().into_bytes())
    }

    /// The bytes that [`sign`](Self::sign) signs, for tests and for finding out why a server does
    /// not agree.
    pub fn signed_content(
        &self,
        fields: &impl Fields,
        extra: &[(&str, &str)],
        body: &[&[u8]],
    ) -> Vec<u8> {
        let collected = self.collect(fields, extra);
        let values = collected.values_by_key().map(str::as_bytes);
        values
            .chain(body.iter().copied())
            .flatten()
            .copied()
            .collect()
    }

    fn collect(&self, fields: &impl Fields, extra: &[(&str, &str)]) -> Collected {
        let mut all = Collected::default();
        all.text(ACCESS_KEY, &self.access_key);
        if let Some(token) = &self.security_token {
            all.text(SECURITY_TOKEN, token);
        }
        fields.write(&mut all);
        for (key, value) in extra {
            all.entry(key, value);
        }
        all.sort();
        all
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .field("secret_key", &"redacted")
            .field(
                "security_token",
                &self.security_token.as_ref().map(|_| "redacted"),
            )
            .finish()
    }
}

/// The fields of a request in one text, so that signing costs two allocations and not two a field.
#[derive(Default)]
struct Collected {
    text: String,
    fields: Vec<Field>,
}

/// Where a field stands in the text: its key, then its value.
#[derive(Clone, Copy)]
struct Field {
    start: usize,
    key_end: usize,
    end: usize,
}

impl Collected {
    /// By key; equal keys keep the order in which they were written.
    fn sort(&mut self) {
        let text = &self.text;
        self.fields
            .sort_by_key(|field| &text[field.start..field.key_end]);
    }

    /// The values of sorted fields, a repeated key with its last value as in Java's map.
    fn values_by_key(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().enumerate().filter_map(|(at, field)| {
            let key = self.key(field);
            let is_repeated = self
                .fields
                .get(at + 1)
                .is_some_and(|next| self.key(next) == key);
            (key != SIGNATURE && !is_repeated).then(|| &self.text[field.key_end..field.end])
        })
    }

    fn key(&self, field: &Field) -> &str {
        &self.text[field.start..field.key_end]
    }
}

impl FieldSink for Collected {
    fn text(&mut self, key: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(key);
        let key_end = self.text.len();
        self.text.push_str(value);
        let end = self.text.len();
        self.fields.push(Field {
            start,
            key_end,
            end,
        });
    }

    fn int(&mut self, key: &str, value: i64) {
        let start = self.text.len();
        self.text.push_str(key);
        let key_end = self.text.len();
        // Writing to a String does not fail.
        let _ = write!(self.text, "{value}");
        let end = self.text.len();
        self.fields.push(Field {
            start,
            key_end,
            end,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Header;

    impl Fields for Header {
        fn write(&self, sink: &mut impl FieldSink) {
            sink.text("topic", "T");
            sink.int("b", -7);
            sink.bool("Z", true);
        }
    }

    fn credentials() -> Credentials {
        Credentials::new("AK", "secret-of-mine")
    }

    fn content(credentials: &Credentials, extra: &[(&str, &str)], body: &[&[u8]]) -> String {
        String::from_utf8(credentials.signed_content(&Header, extra, body)).unwrap()
    }

    #[test]
    fn values_stand_in_the_order_of_their_keys_with_upper_case_first_and_the_body_last() {
        assert_eq!(
            content(&credentials(), &[], &[b"bo", b"dy"]),
            "AKtrue-7Tbody"
        );
        let with_token = credentials().with_security_token("tok");
        assert_eq!(content(&with_token, &[], &[]), "AKtoktrue-7T");
        let all = [("nsd", "true"), ("ns", "N"), ("_UNIQUE_KEY_QUERY", "u")];
        assert_eq!(content(&credentials(), &all, &[]), "AKtrueu-7NtrueT");
    }

    #[test]
    fn each_key_counts_once_and_the_signature_not_at_all() {
        let extra = [
            ("AccessKey", "AK"),
            ("topic", "U"),
            ("Signature", "old"),
            ("empty", ""),
        ];
        assert_eq!(content(&credentials(), &extra, &[]), "AKtrue-7U");
    }

    #[test]
    fn the_signature_is_base64_of_hmac_sha1() {
        // RFC 2202, test case 2, with the data as body.
        let credentials = Credentials::new("", "Jefe");
        let signature = credentials.sign(&NoField, &[], &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(signature, "7/zfauXrL6LSdBbV8YTfnCWafHk=");
    }

    struct NoField;

    impl Fields for NoField {
        fn write(&self, _: &mut impl FieldSink) {}
    }

    #[test]
    fn debug_shows_neither_secret_nor_token() {
        let shown = format!("{:?}", credentials().with_security_token("my-token"));
        assert_eq!(
            shown,
            "Credentials { access_key: \"AK\", secret_key: \"redacted\", security_token: Some(\"redacted\") }"
        );
    }

    #[test]
    fn an_empty_token_is_none() {
        assert_eq!(credentials().with_security_token("").security_token(), None);
    }
}
