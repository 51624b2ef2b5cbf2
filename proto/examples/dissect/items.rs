//! Finds the items of a stream one after the other, and shows each before it looks for the next.

use std::fmt::Display;
use std::io::{self, Read, Write};

use bytes::BytesMut;
use rocketmq_proto::{
    BatchMember, FrameDecoder, MAX_FRAME_LEN, Properties, RemotingCommand, StoredMessage,
    StoredProblem, TopicRoute,
};
use serde::Serialize;

use crate::show::{FrameShown, MemberShown, StoredShown, map_of};
use crate::source::Source;

/// A properties string is at most 32 767 bytes long when it is sent; this leaves room for stranger ones,
/// and keeps their map within the frame limit too.
const MAX_PROPERTIES: usize = 1 << 20;

/// What a file holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Batch,
    Frames,
    Properties,
    Route,
    Stored,
}

/// Why reading stopped, and where.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) offset: u64,
    pub(crate) reason: String,
}

/// Shows every item of `input`, up to its end or the first fault.
pub(crate) fn dissect(
    kind: Kind,
    roundtrip: bool,
    input: impl Read,
    out: &mut impl Write,
) -> Result<(), Fault> {
    let mut source = Source::new(input);
    match kind {
        Kind::Batch => batch(&mut source, roundtrip, out),
        Kind::Frames => frames(&mut source, roundtrip, out),
        Kind::Properties => properties(&mut source, roundtrip, out),
        Kind::Route => route(&mut source, roundtrip, out),
        Kind::Stored => stored(&mut source, roundtrip, out),
    }
}

impl Fault {
    fn new(offset: u64, reason: impl Display) -> Self {
        Self {
            offset,
            reason: reason.to_string(),
        }
    }

    /// What was found cannot be shown.
    pub(crate) fn output(error: io::Error) -> Self {
        Self::new(0, format_args!("cannot write to standard output: {error}"))
    }
}

fn frames<R: Read>(
    source: &mut Source<R>,
    roundtrip: bool,
    out: &mut impl Write,
) -> Result<(), Fault> {
    let mut decoder = FrameDecoder::default();
    loop {
        let offset = source.offset();
        let fault = |reason: &dyn Display| Fault::new(offset, reason);
        let frame = source.take(|window| decoder.next_frame(window));
        let Some(frame) = frame.map_err(|error| fault(&error))? else {
            if source.read_more().map_err(|error| fault(&error))? {
                continue;
            }
            return match source.window().len() {
                0 => Ok(()),
                left => Err(fault(&format_args!(
                    "the file ends within a frame, {left} bytes after its start"
                ))),
            };
        };
        let command = RemotingCommand::from_frame(&frame).map_err(|error| fault(&error))?;
        show(out, &FrameShown::new(&frame, &command))?;
        if roundtrip {
            let mut again = BytesMut::new();
            command
                .encode(frame.serialize_type(), &mut again)
                .map_err(|error| fault(&error))?;
            let decoded = FrameDecoder::default()
                .next_frame(&mut again)
                .map_err(|error| fault(&error))?
                .map(|frame| RemotingCommand::from_frame(&frame));
            same(offset, Some(Ok(command)) == decoded && again.is_empty())?;
        }
    }
}

fn stored<R: Read>(
    source: &mut Source<R>,
    roundtrip: bool,
    out: &mut impl Write,
) -> Result<(), Fault> {
    while let Some(item) = next_sized(source, 8)? {
        let offset = source.offset();
        let fault = |reason: &dyn Display| Fault::new(offset, reason);
        let (message, len) = match StoredMessage::decode(&source.window()[..item]) {
            Ok(decoded) => decoded,
            Err(error) if error.problem == StoredProblem::Blank => return Ok(()),
            Err(error) => return Err(fault(&error.problem)),
        };
        let shown = StoredShown::new(&message).map_err(|error| fault(&error))?;
        show(out, &shown)?;
        if roundtrip {
            let mut again = BytesMut::new();
            message.encode(&mut again).map_err(|error| fault(&error))?;
            let decoded = StoredMessage::decode(&again).map_err(|error| fault(&error))?;
            same(offset, decoded == (message, again.len()))?;
        }
        source.take(|window| drop(window.split_to(len)));
    }
    Ok(())
}

fn batch<R: Read>(
    source: &mut Source<R>,
    roundtrip: bool,
    out: &mut impl Write,
) -> Result<(), Fault> {
    while let Some(item) = next_sized(source, 4)? {
        let offset = source.offset();
        let fault = |reason: &dyn Display| Fault::new(offset, reason);
        let (member, len) =
            BatchMember::decode(&source.window()[..item]).map_err(|error| fault(&error.problem))?;
        let properties = Properties::from_wire(member.properties);
        show(out, &MemberShown::new(&member, &properties))?;
        if roundtrip {
            let mut again = BytesMut::new();
            member.encode(&mut again).map_err(|error| fault(&error))?;
            let decoded = BatchMember::decode(&again).map_err(|error| fault(&error))?;
            same(offset, decoded == (member, again.len()))?;
        }
        source.take(|window| drop(window.split_to(len)));
    }
    Ok(())
}

fn properties<R: Read>(
    source: &mut Source<R>,
    roundtrip: bool,
    out: &mut impl Write,
) -> Result<(), Fault> {
    let text = whole(source, MAX_PROPERTIES)?;
    let text = std::str::from_utf8(text)
        .map_err(|error| Fault::new(error.valid_up_to() as u64, "the properties are not UTF-8"))?;
    let properties = Properties::from_wire(text);
    let map = map_of(&properties);
    show(out, &map)?;
    if roundtrip {
        let pieces = map
            .iter()
            .map(|(name, value)| format!("{name}\u{1}{value}\u{2}"));
        let again = Properties::from_wire(pieces.collect::<String>());
        same(0, map_of(&again) == map)?;
    }
    Ok(())
}

fn route<R: Read>(
    source: &mut Source<R>,
    roundtrip: bool,
    out: &mut impl Write,
) -> Result<(), Fault> {
    let body = whole(source, MAX_FRAME_LEN)?;
    let route = TopicRoute::decode(body).map_err(|error| Fault::new(0, error))?;
    let normalised = route.encode_json();
    out.write_all(&normalised)
        .and_then(|()| out.write_all(b"\n"))
        .map_err(Fault::output)?;
    if roundtrip {
        for again in [normalised, route.encode_fastjson()] {
            let again = TopicRoute::decode(&again).map_err(|error| Fault::new(0, error))?;
            same(0, again == route)?;
        }
    }
    Ok(())
}

/// Waits for an item that begins with its own length, and says how many of the window's bytes to look
/// at: the item, or what is left of it. `None` at the end of the stream.
fn next_sized<R: Read>(source: &mut Source<R>, prefix: usize) -> Result<Option<usize>, Fault> {
    let offset = source.offset();
    let fault = |error: io::Error| Fault::new(offset, error);
    source.fill(prefix).map_err(fault)?;
    let Some(len) = source.window().first_chunk() else {
        let left = source.window().len();
        return Ok((left > 0).then_some(left));
    };
    // What is no length at all is for the decoder to say.
    let len = usize::try_from(i32::from_be_bytes(*len))
        .unwrap_or(0)
        .max(prefix);
    if len > MAX_FRAME_LEN {
        return Err(Fault::new(
            offset,
            format_args!(
                "an item of {len} bytes is larger than a frame can be, MAX: {MAX_FRAME_LEN}"
            ),
        ));
    }
    source.fill(len).map_err(fault)?;
    Ok(Some(len.min(source.window().len())))
}

fn whole<R: Read>(source: &mut Source<R>, limit: usize) -> Result<&[u8], Fault> {
    let is_longer = source
        .fill(limit + 1)
        .map_err(|error| Fault::new(source.offset(), error))?;
    if is_longer {
        return Err(Fault::new(
            limit as u64,
            format_args!("the file is longer than {limit} bytes"),
        ));
    }
    Ok(source.window())
}

fn show(out: &mut impl Write, item: &impl Serialize) -> Result<(), Fault> {
    serde_json::to_writer(&mut *out, item).map_err(|error| Fault::output(error.into()))?;
    out.write_all(b"\n").map_err(Fault::output)
}

fn same(offset: u64, is_same: bool) -> Result<(), Fault> {
    if is_same {
        return Ok(());
    }
    Err(Fault::new(
        offset,
        "the item differs after it was encoded and decoded again",
    ))
}
