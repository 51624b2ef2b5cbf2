use std::borrow::Cow;
use std::str::Split;

use thiserror::Error;

use super::{
    EndTransactionTrace, FIELD_END, NULL, PublishTrace, RECORD_END, RecallTrace, TraceKind,
    TraceRecord,
};

/// The records in the body of a trace message, first to last; goes on after a bad one.
#[derive(Clone, Debug)]
pub struct TraceRecords<'a> {
    records: Split<'a, char>,
}

/// A text that is no trace record of a producer.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum InvalidTrace {
    /// A field is no number or flag as it should be.
    #[error("field {index} of the trace record makes no sense: {text:?}")]
    BadField {
        /// Which field, from 0.
        index: usize,
        /// Its first characters.
        text: String,
    },
    /// The record has too few or too many fields for its kind.
    #[error("a trace record of kind {kind} has {expected} fields, not {found}")]
    FieldCount {
        /// The kind of record.
        kind: &'static str,
        /// How many fields it should have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// The kind is none that producers write.
    #[error("the kind of trace record is unknown: {0:?}; known are Pub, EndTransaction and Recall")]
    UnknownKind(String),
}

impl<'a> TraceRecords<'a> {
    /// The records of `body`.
    pub fn new(body: &'a str) -> Self {
        Self {
            records: body.split(RECORD_END),
        }
    }
}

impl<'a> Iterator for TraceRecords<'a> {
    type Item = Result<TraceRecord<'a>, InvalidTrace>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.find(|record| !record.is_empty())?;
        Some(TraceRecord::decode(record))
    }
}

impl<'a> TraceRecord<'a> {
    /// Reads one record, with or without its end.
    ///
    /// # Errors
    ///
    /// When it is none of the three kinds, or its fields are not those of its kind.
    pub fn decode(record: &'a str) -> Result<Self, InvalidTrace> {
        let record = record.strip_suffix(RECORD_END).unwrap_or(record);
        let (kind, _) = record.split_once(FIELD_END).unwrap_or((record, ""));
        match kind {
            "Pub" => FieldReader::of(record, "Pub", 14)?
                .publish()
                .map(Self::Publish),
            "EndTransaction" => FieldReader::of(record, "EndTransaction", 13)?
                .end_transaction()
                .map(Self::EndTransaction),
            "Recall" => FieldReader::of(record, "Recall", 7)?
                .recall()
                .map(Self::Recall),
            _ => Err(InvalidTrace::UnknownKind(shortened(kind))),
        }
    }
}

struct FieldReader<'a> {
    fields: Split<'a, char>,
    index: usize,
}

impl<'a> FieldReader<'a> {
    /// Behind the kind; that many fields are there for sure.
    fn of(record: &'a str, kind: &'static str, expected: usize) -> Result<Self, InvalidTrace> {
        let mut fields = record.split(FIELD_END);
        let found = fields.clone().count();
        if found != expected {
            return Err(InvalidTrace::FieldCount {
                kind,
                expected,
                found,
            });
        }
        fields.next();
        Ok(Self { fields, index: 0 })
    }

    fn publish(mut self) -> Result<PublishTrace<'a>, InvalidTrace> {
        Ok(PublishTrace {
            timestamp: self.number()?,
            region: self.text(),
            group: self.required(),
            topic: self.required(),
            message_id: self.text(),
            tags: self.text(),
            keys: self.text(),
            store_host: self.text(),
            body_len: self.number()?,
            cost_ms: self.number()?,
            kind: self.kind()?,
            offset_message_id: self.text(),
            success: self.flag()?,
        })
    }

    fn end_transaction(mut self) -> Result<EndTransactionTrace<'a>, InvalidTrace> {
        Ok(EndTransactionTrace {
            timestamp: self.number()?,
            region: self.text(),
            group: self.required(),
            topic: self.required(),
            message_id: self.text(),
            tags: self.text(),
            keys: self.text(),
            store_host: self.text(),
            kind: self.kind()?,
            transaction_id: self.text(),
            state: self.required(),
            from_check: self.flag()?,
        })
    }

    fn recall(mut self) -> Result<RecallTrace<'a>, InvalidTrace> {
        Ok(RecallTrace {
            timestamp: self.number()?,
            region: self.text(),
            group: self.required(),
            topic: self.required(),
            message_id: self.text(),
            success: self.flag()?,
        })
    }

    fn next(&mut self) -> &'a str {
        self.index += 1;
        self.fields.next().unwrap_or_default()
    }

    fn required(&mut self) -> Cow<'a, str> {
        Cow::Borrowed(self.next())
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        let text = self.next();
        (text != NULL).then_some(Cow::Borrowed(text))
    }

    fn number<N: std::str::FromStr>(&mut self) -> Result<N, InvalidTrace> {
        let text = self.next();
        text.parse().map_err(|_| self.bad(text))
    }

    fn kind(&mut self) -> Result<TraceKind, InvalidTrace> {
        let text = self.next();
        let number = text.parse().map_err(|_| self.bad(text))?;
        TraceKind::from_number(number).ok_or_else(|| self.bad(text))
    }

    fn flag(&mut self) -> Result<bool, InvalidTrace> {
        let text = self.next();
        text.parse().map_err(|_| self.bad(text))
    }

    fn bad(&self, text: &str) -> InvalidTrace {
        InvalidTrace::BadField {
            index: self.index,
            text: shortened(text),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(32).collect()
}
