//! Who is connected (PROTOCOL B.3, B.4).

use std::borrow::Cow;

use bytes::BytesMut;

use super::macros::header;
use crate::json::{JsonError, Lexer, Value, write};
use crate::writer::append;

header! {
    /// UNREGISTER_CLIENT (35), to every broker.
    pub struct UnregisterClientRequest<'a> {
        /// The client's id, see [`HeartbeatData::client_id`].
        client_id: Cow<'a, str> = "clientID",
        /// The group that leaves.
        producer_group: Option<Cow<'a, str>> = "producerGroup",
        /// Of consumers.
        consumer_group: Option<Cow<'a, str>> = "consumerGroup",
    }
}

/// Body of HEART_BEAT (34), which has no header fields: the producers of one client, in the form of 4.9, which every
/// server reads.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeartbeatData {
    /// `ip@instance`, the same on every connection of a client (PROTOCOL E.3).
    pub client_id: String,
    /// One for each producer group.
    pub producer_groups: Vec<String>,
}

impl HeartbeatData {
    /// Writes the JSON text to the end of `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        let guess = 80 + self.client_id.len() + self.producer_groups.len() * 48;
        append(out, guess, |out| {
            out.put(b"{\"clientID\":");
            write::string(out, &self.client_id);
            out.put(b",\"consumerDataSet\":[],\"producerDataSet\":[");
            for (index, group) in self.producer_groups.iter().enumerate() {
                out.put(if index == 0 {
                    b"{\"groupName\":".as_slice()
                } else {
                    b",{\"groupName\":"
                });
                write::string(out, group);
                out.put(b"}");
            }
            out.put(b"]}");
        });
    }

    /// Reads the JSON text; consumers and unknown keys are passed over, missing parts are empty.
    ///
    /// # Errors
    ///
    /// The text is not JSON.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut lexer = Lexer::new(body);
        let mut data = Self::default();
        lexer.open_object()?;
        while let Some(key) = lexer.key()? {
            match &*key.bytes() {
                b"clientID" => data.client_id = text(&mut lexer)?.unwrap_or_default(),
                b"producerDataSet" => data.producer_groups = producers(&mut lexer)?,
                _ => lexer.skip_value()?,
            }
        }
        lexer.end()?;
        Ok(data)
    }
}

fn producers(lexer: &mut Lexer<'_>) -> Result<Vec<String>, JsonError> {
    let mut groups = Vec::new();
    let first = lexer.value()?;
    let Value::List = first else {
        lexer.finish(first)?;
        return Ok(groups);
    };
    while lexer.element()? {
        let producer = lexer.value()?;
        let Value::Object = producer else {
            lexer.finish(producer)?;
            continue;
        };
        while let Some(key) = lexer.key()? {
            match &*key.bytes() {
                b"groupName" => groups.extend(text(lexer)?.filter(|group| !group.is_empty())),
                _ => lexer.skip_value()?,
            }
        }
    }
    Ok(groups)
}

fn text(lexer: &mut Lexer<'_>) -> Result<Option<String>, JsonError> {
    match lexer.value()? {
        Value::Text(text) => Ok(Some(text.into_cow().into_owned())),
        other => lexer.finish(other).map(|()| None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_text_that_java_4_9_writes() {
        let data = HeartbeatData {
            client_id: "10.0.0.1@1234#5678".into(),
            producer_groups: vec!["PG".into()],
        };
        let mut out = BytesMut::new();
        data.encode(&mut out);
        let java = br#"{"clientID":"10.0.0.1@1234#5678","consumerDataSet":[],"producerDataSet":[{"groupName":"PG"}]}"#;
        assert_eq!(&out[..], java);
        assert_eq!(HeartbeatData::decode(java).unwrap(), data);
    }

    #[test]
    fn what_5_x_adds_and_consumers_are_passed_over() {
        let body = br#"{"clientID":"c","consumerDataSet":[{"groupName":"CG","subscriptionDataSet":[{"codeSet":[1]}]}],
            "heartbeatFingerprint":0,"producerDataSet":[{"groupName":"A"},null,{"groupName":"B","x":{}}],"withoutSub":false}"#;
        let data = HeartbeatData::decode(body).unwrap();
        assert_eq!(data.producer_groups, ["A", "B"]);
        assert_eq!(
            HeartbeatData::decode(b"{\"producerDataSet\":null}").unwrap(),
            HeartbeatData::default()
        );
        assert!(HeartbeatData::decode(b"[]").is_err());
    }
}
