//! What `quickstart` can be told, and what it says, on every runtime.

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use rocketmq_engine::{SendReceipt, ShutdownReport};
use rocketmq_testkit::Cluster;

use super::latency::Latency;

pub(crate) const TOPIC: &str = "quickstart";
pub(crate) const MESSAGES: u64 = 10_000;
pub(crate) const IN_FLIGHT: usize = 256;
pub(crate) const BODY: &[u8] = &[b'x'; SIZE];
const SIZE: usize = 1024;

/// Sends 10 000 messages of 1 KiB, 256 at a time, and shows what comes back.
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
pub(crate) struct Arguments {
    /// The name servers of a real cluster. Without, a name server and two brokers are started in
    /// this process.
    #[arg(long, value_name = "HOST:PORT[;HOST:PORT]")]
    namesrv: Option<String>,
}

/// The servers to send to. Those in this process live as long as this.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) namesrv: String,
    _cluster: Option<Cluster>,
}

impl Arguments {
    pub(crate) fn servers(self) -> Result<Servers, Box<dyn Error>> {
        let cluster = match self.namesrv {
            Some(_) => None,
            None => Some(Cluster::builder().brokers(2).start()?),
        };
        let own = cluster.as_ref().map(Cluster::name_server_list);
        Ok(Servers {
            namesrv: self.namesrv.or(own).unwrap_or_default(),
            _cluster: cluster,
        })
    }
}

pub(crate) fn print_receipt(receipt: &SendReceipt) {
    println!("receipt:  {} in {}", receipt.status, receipt.queue);
    println!("          at {} of the queue", receipt.queue_offset);
    println!("          message id        {}", receipt.message_id);
    println!("          offset message id {}", receipt.offset_message_id);
}

pub(crate) fn print_summary(took: Duration, latency: &Latency, report: &ShutdownReport) {
    println!(
        "sent:     {MESSAGES} messages of {SIZE} bytes, {IN_FLIGHT} in flight: {:.0} messages/s",
        MESSAGES as f64 / took.as_secs_f64()
    );
    let [p50, p99] = latency.quantiles([0.5, 0.99]);
    println!("latency:  p50 {p50:.1?}, p99 {p99:.1?}");
    println!(
        "shutdown: {} delivered meanwhile, {} failed, {} abandoned",
        report.delivered, report.failed, report.abandoned
    );
}
