//! Checks what `produce` reported against what the brokers have.
//!
//! ```text
//! produce --namesrv A --topic T < INPUT > RESULTS
//! verify  --namesrv A --topic T --input INPUT --results RESULTS
//! ```
//!
//! It reads the whole topic with a plain socket and the codec, so it shares nothing with the
//! producer. `--help` says what is checked.

#[path = "../common/lines.rs"]
mod lines;
#[path = "../../tests/support/reader.rs"]
mod reader;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use rocketmq_proto::StoredMessage;
use serde_json::Value;

use lines::read_lines;
use reader::Reader;

/// Longer lines, and larger bodies, are not looked at.
const LONGEST: usize = 64 << 20;
/// Between two looks at brokers that do not have everything yet.
const PAUSE: Duration = Duration::from_millis(500);

/// Checks what `produce` reported against what the brokers have: every line of the input has one
/// result, in order, and every line reported as stored is read back with equal bytes.
///
/// Prints one line with the counts; exit code 1 when something is amiss.
#[derive(Debug, Parser)]
#[command(name = "verify")]
struct Arguments {
    /// The name servers.
    #[arg(long, value_name = "HOST:PORT[;HOST:PORT]")]
    namesrv: String,
    /// The topic; only this run's messages may be expected in it, others do no harm.
    #[arg(long)]
    topic: String,
    /// What `produce` was given.
    #[arg(long)]
    input: PathBuf,
    /// What `produce` printed.
    #[arg(long)]
    results: PathBuf,
    /// How long to look again for what is missing, in seconds: a broker may be starting.
    #[arg(long, default_value_t = 0)]
    patience: u64,
    /// Also prints how many messages a second the brokers stored in each half second from 5 s before
    /// this time to 5 s after it, by their own clocks.
    #[arg(long, value_name = "UNIX_MS")]
    rates_around: Option<i64>,
}

fn main() -> ExitCode {
    match verify(&Arguments::parse()) {
        Ok(findings) => {
            println!("{findings}");
            if findings.is_well() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("verify: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A line of the input: its number and its bytes.
type Input = (u64, Vec<u8>);

#[derive(Debug, Default)]
struct Findings {
    lines: usize,
    stored_ok: usize,
    failed: usize,
    /// Lines whose result is not where it should be.
    out_of_order: usize,
    /// Lines reported as stored that no broker has.
    missing: usize,
    /// Lines reported as stored whose body is another one.
    altered: usize,
    /// Lines reported as failed; their messages may be stored.
    unknown: usize,
    /// Copies beyond the first, all with the same unique id.
    duplicates: usize,
}

fn verify(arguments: &Arguments) -> Result<Findings, Box<dyn Error>> {
    let input = input_lines(&arguments.input)?;
    let results = BufReader::new(File::open(&arguments.results)?)
        .lines()
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect::<Result<Vec<Value>, Box<dyn Error>>>()?;

    let until = Instant::now() + Duration::from_secs(arguments.patience);
    let mut reader = Reader::new(&arguments.namesrv);
    loop {
        let time_is_up = Instant::now() >= until;
        match reader.read(&arguments.topic, 0, Duration::ZERO) {
            Ok(stored) => {
                let findings = compare(&input, &results, &stored);
                if findings.missing == 0 || time_is_up {
                    if let Some(middle) = arguments.rates_around {
                        print_rates(&stored, middle);
                    }
                    return Ok(findings);
                }
            }
            Err(error) if time_is_up => return Err(error.into()),
            Err(_) => {}
        }
        thread::sleep(PAUSE);
    }
}

fn input_lines(path: &Path) -> Result<Vec<Input>, Box<dyn Error>> {
    let mut all = Vec::new();
    read_lines(File::open(path)?, LONGEST, |lines| {
        all.extend(
            lines
                .into_iter()
                .filter_map(|line| Some((line.number, line.body.ok()?))),
        );
        true
    })?;
    Ok(all)
}

fn compare(input: &[Input], results: &[Value], stored: &[StoredMessage]) -> Findings {
    let mut findings = Findings {
        lines: input.len(),
        ..Findings::default()
    };
    let mut by_id = HashMap::new();
    for message in stored {
        let id = message.message_id();
        if by_id.insert(id, message).is_some() {
            findings.duplicates += 1;
        }
    }
    findings.out_of_order = input.len().abs_diff(results.len());
    for ((number, body), result) in input.iter().zip(results) {
        if result["line"] != *number {
            findings.out_of_order += 1;
        }
        let Some(id) = result["message_id"].as_str() else {
            findings.failed += 1;
            findings.unknown += usize::from(result["certainty"] == "Unknown");
            continue;
        };
        findings.stored_ok += 1;
        match by_id
            .get(id)
            .map(|message| message.decompressed_body(LONGEST))
        {
            Some(Ok(found)) if found == *body => {}
            Some(_) => findings.altered += 1,
            None => findings.missing += 1,
        }
    }
    findings
}

fn print_rates(stored: &[StoredMessage], middle: i64) {
    const HALF_SECOND: i64 = 500;
    let mut counts = [0_u32; 20];
    let begin = middle - HALF_SECOND * counts.len() as i64 / 2;
    for message in stored {
        let slot = (message.store_timestamp - begin).div_euclid(HALF_SECOND);
        let count = usize::try_from(slot)
            .ok()
            .and_then(|slot| counts.get_mut(slot));
        *count.unwrap_or(&mut 0) += 1;
    }
    for (slot, count) in (0..).zip(counts) {
        let seconds = f64::from(slot) / 2.0 - 5.0;
        println!("rate {seconds:.1} {}", count * 2);
    }
}

impl Findings {
    fn is_well(&self) -> bool {
        self.out_of_order + self.missing + self.altered == 0
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "lines {}: stored {}, failed {} ({} of them unknown), out of order {}; \
             of the stored ones missing {}, altered {}; duplicates {}",
            self.lines,
            self.stored_ok,
            self.failed,
            self.unknown,
            self.out_of_order,
            self.missing,
            self.altered,
            self.duplicates
        )
    }
}
