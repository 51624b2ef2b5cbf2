//! Runs simulated worlds: many of them, or one again (DESIGN 10.3).
//!
//! ```text
//! cargo run --release -p rocketmq-testkit --example simulate -- --seeds 100000
//! cargo run --release -p rocketmq-testkit --example simulate -- --seed 1234 --trace
//! ```

use std::process::ExitCode;

use clap::Parser;

#[path = "../tests/simulation/sim/mod.rs"]
mod sim;

/// Engine, servers and network under a virtual clock, decided by a seed.
#[derive(Parser)]
struct Args {
    /// Run this one world.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run so many worlds.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The seed of the first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// On how many threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// With --seed: print everything that happens.
    #[arg(long, requires = "seed")]
    trace: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(seed) = args.seed {
        return match sim::replay(seed, args.trace) {
            Ok(digest) => {
                println!("seed {seed} keeps every promise; its trace has the digest {digest:016x}");
                ExitCode::SUCCESS
            }
            Err(failure) if args.trace => fail(&failure.why),
            Err(failure) => fail(&failure.to_string()),
        };
    }
    let seeds = args.from..args.from.saturating_add(args.seeds);
    println!("seeds {}..{}", seeds.start, seeds.end);
    let progress = |seed: u64| {
        if seed % 10_000 == 0 {
            eprintln!("at seed {seed}");
        }
    };
    match sim::run_many(seeds, args.threads.max(1), progress) {
        Ok(totals) => {
            println!("{totals:#?}");
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure.to_string()),
    }
}

fn fail(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::FAILURE
}
