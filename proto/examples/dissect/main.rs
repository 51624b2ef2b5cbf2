//! Shows what is in files of RocketMQ bytes: one JSON object a line for each item found.
//!
//! ```text
//! cargo run -p rocketmq-proto --all-features --example dissect -- [--stored|--batch|--properties|--route] [--roundtrip] FILE...
//! ```
//!
//! `-` is standard input. Files are read item by item and never kept whole. Where the bytes go bad, one
//! line on standard error names file, offset and reason; the other files are still read, and the exit
//! code is 1.

mod items;
mod show;
mod source;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::process::ExitCode;

use clap::Parser;

use items::{Fault, Kind, dissect};

/// Shows what is in files of RocketMQ bytes: one JSON object a line for each item found back to back.
#[derive(Parser)]
struct Arguments {
    /// The files hold stored messages, as answers to PULL, VIEW and QUERY do.
    #[arg(long, group = "kind")]
    stored: bool,
    /// The files hold bodies of SEND_BATCH_MESSAGE.
    #[arg(long, group = "kind")]
    batch: bool,
    /// Each file holds one properties string.
    #[arg(long, group = "kind")]
    properties: bool,
    /// Each file holds one route, the body of an answer to GET_ROUTEINFO_BY_TOPIC.
    #[arg(long, group = "kind")]
    route: bool,
    /// Encode each item again, decode that, and fail on any difference.
    #[arg(long)]
    roundtrip: bool,
    /// What to read; `-` is standard input. Frames, unless said otherwise.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
}

impl Arguments {
    fn kind(&self) -> Kind {
        match self {
            Self { stored: true, .. } => Kind::Stored,
            Self { batch: true, .. } => Kind::Batch,
            Self {
                properties: true, ..
            } => Kind::Properties,
            Self { route: true, .. } => Kind::Route,
            _ => Kind::Frames,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut code = ExitCode::SUCCESS;
    for file in &arguments.files {
        let outcome = dissect_file(file, &arguments, &mut out);
        // What was found comes before what was not.
        let outcome = out.flush().map_err(Fault::output).and(outcome);
        if let Err(fault) = outcome {
            eprintln!("dissect: {file}: byte {}: {}", fault.offset, fault.reason);
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn dissect_file(file: &str, arguments: &Arguments, out: &mut impl Write) -> Result<(), Fault> {
    let input: Box<dyn Read> = if file == "-" {
        Box::new(io::stdin().lock())
    } else {
        let opened = File::open(file).map_err(|error| Fault {
            offset: 0,
            reason: error.to_string(),
        });
        Box::new(opened?)
    };
    dissect(arguments.kind(), arguments.roundtrip, input, out)
}
