//! How long it takes from `start()` to the first receipt, on tokio: route, connection and message.
//!
//! ```text
//! start --namesrv HOST:PORT [--count N]
//! ```

#[path = "../../../../../runtime-tokio/examples/common/latency.rs"]
mod latency;

use std::error::Error;
use std::time::{Duration, Instant};

use clap::Parser;
use rocketmq_tokio::{Message, Producer};

use latency::Latency;

/// Starts producers one after the other, sends one message with each, and prints how long that took.
#[derive(Parser)]
struct Arguments {
    /// The name servers.
    #[arg(long)]
    namesrv: String,
    /// How many producers.
    #[arg(long, default_value_t = 50)]
    count: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let latency = Latency::new(1);
    for _ in 0..arguments.count {
        let begun = Instant::now();
        let producer = Producer::builder("bench")
            .name_servers([&arguments.namesrv])
            .start()
            .await?;
        producer.send(Message::new("bench", "hello")).await?;
        latency.record(0, begun.elapsed());
        producer.shutdown(Duration::from_secs(5)).await;
    }
    let [p50, p90, most] = latency
        .quantiles([0.5, 0.9, 1.0])
        .map(|time| time.as_secs_f64() * 1e6);
    println!(
        "start n={} p50={p50:.0}us p90={p90:.0}us most={most:.0}us",
        arguments.count
    );
    Ok(())
}
