//! A throw-away RocketMQ: name servers and brokers in memory, as a process of their own.
//!
//! ```text
//! cargo run --release -p rocketmq-testkit --example serve -- --port 9876 --brokers 2
//! ```
//!
//! It runs until its standard input ends (`/dev/null` does not count), `--for` is over, or it is interrupted.

use std::{
    error::Error,
    io::{self, Read},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Duration,
};

use clap::{Parser, ValueEnum};
use rocketmq_testkit::{Cluster, Flavour};

/// RocketMQ name servers and brokers in memory, for trying things out.
#[derive(Debug, Parser)]
#[command(name = "serve")]
struct Arguments {
    /// Port of the first name server; further ones take the ports behind it. 0 chooses free ones.
    #[arg(long, default_value_t = 9876)]
    port: u16,
    /// Port of the first broker; further ones take the ports behind it. 0 chooses free ones.
    #[arg(long, default_value_t = 0)]
    broker_port: u16,
    /// How many brokers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=250))]
    brokers: u8,
    /// How many name servers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=250))]
    name_servers: u8,
    /// The release to behave like.
    #[arg(long, value_enum, default_value = "5.3")]
    flavour: Release,
    /// Refuse sends to topics that do not exist.
    #[arg(long)]
    no_auto_create: bool,
    /// A topic to begin with, and its queues on each broker; repeatable.
    #[arg(long = "topic", value_name = "NAME:QUEUES", value_parser = topic)]
    topics: Vec<(String, i32)>,
    /// Count messages and throw them away, for benchmarks.
    #[arg(long)]
    discard: bool,
    /// End after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Release {
    #[value(name = "4.9")]
    V4_9,
    #[value(name = "5.3")]
    V5_3,
}

fn main() -> ExitCode {
    match serve(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let seconds = arguments.seconds;
    let cluster = start(arguments)?;
    println!("name servers: {}", cluster.name_server_list());
    for broker in cluster.brokers() {
        println!("broker:       {} {}", broker.name(), broker.addr());
    }
    wait_for_end(seconds)?;
    drop(cluster);
    println!("stopped");
    Ok(())
}

fn start(arguments: Arguments) -> Result<Cluster, Box<dyn Error>> {
    let flavour = match arguments.flavour {
        Release::V4_9 => Flavour::V4_9,
        Release::V5_3 => Flavour::V5_3,
    };
    let mut builder = Cluster::builder()
        .port(arguments.port)
        .broker_port(arguments.broker_port)
        .name_servers(usize::from(arguments.name_servers))
        .brokers(usize::from(arguments.brokers))
        .flavour(flavour)
        .auto_create(!arguments.no_auto_create)
        .discard(arguments.discard);
    for (name, queues) in arguments.topics {
        builder = builder.topic(name, queues);
    }
    let failed = |error| format!("cannot start on port {}: {error}", arguments.port);
    Ok(builder.start().map_err(failed)?)
}

/// Until standard input ends or the time is over. An interrupt ends the process, and with it every socket.
fn wait_for_end(seconds: Option<u64>) -> io::Result<()> {
    let (ended, wait) = mpsc::channel();
    // Held here, so that the channel lives on when nobody reads standard input.
    let _open = ended.clone();
    if !is_null_device() {
        thread::Builder::new().spawn(move || {
            let mut input = io::stdin().lock();
            let mut part = [0; 4096];
            while matches!(input.read(&mut part), Ok(count) if count > 0) {}
            let _ = ended.send(());
        })?;
    }
    match seconds {
        Some(seconds) => {
            let _ = wait.recv_timeout(Duration::from_secs(seconds));
        }
        None => {
            let _ = wait.recv();
        }
    }
    Ok(())
}

/// Whether there is no real standard input, as for a job that a script put in the background: its end says nothing.
fn is_null_device() -> bool {
    #[cfg(unix)]
    {
        use std::{fs, io::IsTerminal, os::unix::fs::FileTypeExt};
        let is_device =
            fs::metadata("/dev/stdin").is_ok_and(|found| found.file_type().is_char_device());
        is_device && !io::stdin().is_terminal()
    }
    #[cfg(not(unix))]
    false
}

fn topic(text: &str) -> Result<(String, i32), String> {
    let wrong = || format!("{text:?} is not NAME:QUEUES, as in orders:4");
    let (name, queues) = text.rsplit_once(':').ok_or_else(wrong)?;
    let queues = queues.parse().map_err(|_| wrong())?;
    if name.is_empty() || !(1..=1024).contains(&queues) {
        return Err(format!("{text:?} needs a name and 1 to 1024 queues"));
    }
    Ok((name.to_owned(), queues))
}
