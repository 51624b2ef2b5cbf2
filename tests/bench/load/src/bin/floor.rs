//! The floor: what the kernel asks for, and nothing else. One thread, one connection, frames that were
//! made before the clock started, a window of them written in one call; then their answers are counted.
//! No producer does with less.

#[path = "../../../../../runtime-tokio/examples/common/bench_report.rs"]
mod bench_report;
#[path = "../../../../../runtime-tokio/examples/common/latency.rs"]
mod latency;
#[path = "../../../../../runtime-tokio/examples/common/text.rs"]
mod text;
#[path = "../../../../../runtime-tokio/examples/common/usage.rs"]
mod usage;

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use bytes::BytesMut;
use clap::{Parser, ValueEnum};
use rocketmq_bench::samples;
use rocketmq_proto::header::SendMessageRequest;
use rocketmq_proto::{
    Batch, Flags, FrameLimits, Head, Message, RequestCode, SerializeType, encode_head,
};

use bench_report::{Report, Stopwatch};
use latency::Latency;

/// Enough for the answers to a usual window.
const CHUNK: usize = 256 * 1024;

/// Sends ready-made frames and counts the answers. Prints the same line as `bench --details`; its
/// times are those of a whole window.
#[derive(Parser)]
struct Arguments {
    /// The server; any of its ports.
    #[arg(long, value_name = "HOST:PORT")]
    namesrv: String,
    #[arg(long, value_enum)]
    mode: Mode,
    /// How many messages.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Bytes of each body.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    size: u32,
    /// Frames written in one call; in mode batch the messages of each frame, one of which is written.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    width: u32,
    /// The form of headers.
    #[arg(long, value_enum, default_value = "json")]
    headers: Headers,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Mode {
    Batch,
    /// The last frame of all asks for an answer, so that the server has everything.
    Oneway,
    Sync,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Headers {
    Binary,
    Json,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut stream = TcpStream::connect(&arguments.namesrv)?;
    stream.set_nodelay(true)?;
    let work = Work::new(&arguments)?;
    let latency = Latency::new(1);
    work.run(&mut stream, arguments.count / 10, &latency)?;

    let latency = Latency::new(1);
    let stopwatch = Stopwatch::start();
    let count = work.run(&mut stream, arguments.count, &latency)?;
    let time = stopwatch.stop();
    let report = Report {
        mode: match arguments.mode {
            Mode::Batch => "batch",
            Mode::Oneway => "oneway",
            Mode::Sync => "sync",
        },
        count,
        size: arguments.size,
        width: arguments.width,
        time,
        latency: &latency,
        failed: 0,
        details: true,
    };
    println!("{report}");
    Ok(())
}

struct Work {
    /// What one call writes.
    window: BytesMut,
    /// The messages in it.
    messages: u64,
    /// The answers to it.
    answers: u64,
    /// A frame that has an answer, whatever the mode.
    last: BytesMut,
}

impl Work {
    fn new(arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        let body = text::text(arguments.size as usize);
        let width = u64::from(arguments.width);
        let (frames, body) = match arguments.mode {
            Mode::Batch => (1, batch(&body, arguments.width)?),
            Mode::Oneway | Mode::Sync => (width, body),
        };
        let mut window = BytesMut::new();
        for opaque in 0..frames {
            frame(&mut window, arguments, arguments.mode, opaque as i32, &body)?;
        }
        let mut last = BytesMut::new();
        frame(&mut last, arguments, Mode::Sync, i32::MAX, b"last")?;
        Ok(Self {
            window,
            messages: width,
            answers: if arguments.mode == Mode::Oneway {
                0
            } else {
                frames
            },
            last,
        })
    }

    /// Sends whole windows, at least so many messages; how many it was.
    fn run(&self, stream: &mut TcpStream, count: u64, latency: &Latency) -> io::Result<u64> {
        let mut counter = Counter::new();
        let windows = count.div_ceil(self.messages);
        for _ in 0..windows {
            let begun = Instant::now();
            stream.write_all(&self.window)?;
            counter.wait_for(stream, self.answers)?;
            latency.record(0, begun.elapsed());
        }
        if self.answers == 0 {
            stream.write_all(&self.last)?;
            counter.wait_for(stream, 1)?;
        }
        Ok(windows * self.messages)
    }
}

/// Counts frames by their lengths.
struct Counter {
    buffer: Vec<u8>,
    filled: usize,
}

impl Counter {
    fn new() -> Self {
        Self {
            buffer: vec![0; CHUNK],
            filled: 0,
        }
    }

    fn wait_for(&mut self, stream: &mut TcpStream, mut answers: u64) -> io::Result<()> {
        while answers > 0 {
            let read = stream.read(&mut self.buffer[self.filled..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.filled += read;
            let mut done = 0;
            while let Some(word) = self.buffer[done..self.filled].first_chunk::<4>() {
                let end = done + 4 + u32::from_be_bytes(*word) as usize;
                if end > self.filled {
                    break;
                }
                done = end;
                answers = answers.saturating_sub(1);
            }
            self.buffer.copy_within(done..self.filled, 0);
            self.filled -= done;
        }
        Ok(())
    }
}

/// A whole request: the head of a usual message, and the body.
fn frame(
    out: &mut BytesMut,
    arguments: &Arguments,
    mode: Mode,
    opaque: i32,
    body: &[u8],
) -> Result<(), Box<dyn Error>> {
    let (code, flags) = match mode {
        Mode::Batch => (RequestCode::SEND_BATCH_MESSAGE, Flags::REQUEST),
        Mode::Oneway => (RequestCode::SEND_MESSAGE_V2, Flags::ONEWAY),
        Mode::Sync => (RequestCode::SEND_MESSAGE_V2, Flags::REQUEST),
    };
    let head = Head {
        code: code.0,
        flags,
        ..samples::request_head(opaque)
    };
    let fields = SendMessageRequest {
        batch: Some(mode == Mode::Batch),
        ..samples::request()
    };
    let headers = match arguments.headers {
        Headers::Binary => SerializeType::Binary,
        Headers::Json => SerializeType::Json,
    };
    let limits = FrameLimits::default();
    encode_head(out, headers, &head, &fields, &[], body.len(), limits)?;
    out.extend_from_slice(body);
    Ok(())
}

fn batch(body: &[u8], members: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let member = |_| Message::new("bench", body.to_vec());
    let mut batch = Batch::new((0..members).map(member).collect())?;
    let mut ids = samples::ids();
    batch.stamp(|| ids.next(1_700_000_000_123));
    let mut out = BytesMut::new();
    batch.encode(&mut out)?;
    Ok(out.to_vec())
}
