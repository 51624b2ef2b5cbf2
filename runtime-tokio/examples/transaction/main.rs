//! Orders in a database file, each of which is announced by a message exactly if it is in the
//! database: the message is sent in a transaction, and whatever happens in between, a crash included,
//! is settled from the database when the broker asks.
//!
//! ```text
//! cargo run -p rocketmq-tokio --example transaction -- --namesrv 127.0.0.1:9876 --orders 10
//! ```
//!
//! To see it survive, let it crash and start it again; it then answers for what the crash left behind:
//!
//! ```text
//! ... --orders 10 --crash-at 5 --crash after-commit
//! ... --orders 0 --settle 90
//! ```

mod database;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};
use rocketmq_tokio::{Message, Producer, StoredMessage, TransactionState};

use database::Database;

#[derive(Clone, Parser)]
struct Arguments {
    /// The name servers, separated by `;`.
    #[arg(long)]
    namesrv: String,
    /// The topic of the announcements.
    #[arg(long, default_value = "orders")]
    topic: String,
    /// The file with the orders; made when it is not there.
    #[arg(long, default_value = "orders.sqlite")]
    database: PathBuf,
    /// How many orders to place. Every third is refused by the shop, and rolled back.
    #[arg(long, default_value_t = 10)]
    orders: u32,
    /// Crashes while placing this order, between its half message and the end of the transaction.
    #[arg(long)]
    crash_at: Option<u32>,
    /// Where exactly.
    #[arg(long, value_enum, default_value_t = Crash::AfterCommit)]
    crash: Crash,
    /// Afterwards, how many seconds to stay and answer what brokers ask; an interrupt ends it.
    #[arg(long, default_value_t = 0)]
    settle: u64,
    /// So many seconds an order may be missing from the database before it counts as never placed:
    /// longer than any local transaction takes.
    #[arg(long, default_value_t = 10)]
    patience: u64,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Crash {
    /// The order is not in the database: its message must never be delivered.
    BeforeCommit,
    /// The order is in the database: its message must be delivered.
    AfterCommit,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("transaction: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let database = Database::open(&arguments.database)?;
    let (answers, patience) = (database.clone(), arguments.patience);
    let producer = Producer::builder("order-service")
        .name_servers([&arguments.namesrv])
        .check_back(move |message| {
            let answers = answers.clone();
            async move { settle(&answers, &message, patience) }
        })
        .start()
        .await?;
    producer.ready(&arguments.topic).await?;
    for number in 1..=arguments.orders {
        place(&producer, &database, &arguments, number).await?;
    }
    let interrupted = tokio::signal::ctrl_c();
    let _ = tokio::time::timeout(Duration::from_secs(arguments.settle), interrupted).await;
    producer.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn place(
    producer: &Producer,
    database: &Database,
    arguments: &Arguments,
    number: u32,
) -> Result<(), Box<dyn Error>> {
    let body = format!("order {number}");
    let message = Message::new(&*arguments.topic, body).key(format!("order-{number}"));
    let crash = (arguments.crash_at == Some(number)).then_some(arguments.crash);
    let local = |_message, half: rocketmq_tokio::SendReceipt| async move {
        if crash == Some(Crash::BeforeCommit) {
            std::process::abort();
        }
        // A write of a few µs; what takes longer belongs on `spawn_blocking`.
        let state = database.place(&half.message_id, number);
        if crash == Some(Crash::AfterCommit) {
            std::process::abort();
        }
        state
    };
    let receipt = producer.send_in_transaction(message, local).await?;
    println!(
        "order {number}: {} as {}",
        receipt.state, receipt.receipt.message_id
    );
    if let Err(error) = receipt.end {
        println!("order {number}: the broker will ask, since {error}");
    }
    Ok(())
}

/// What became of an order, as far as the database knows.
fn settle(
    database: &Database,
    message: &StoredMessage,
    patience: u64,
) -> Result<TransactionState, database::Error> {
    let id = message.message_id();
    let state = if database.has(&id)? {
        TransactionState::Commit
    } else if age(message) >= Duration::from_secs(patience) {
        TransactionState::Rollback
    } else {
        // Perhaps its local transaction is under way.
        TransactionState::Unknown
    };
    println!("asked about {id}: {state}");
    Ok(state)
}

fn age(message: &StoredMessage) -> Duration {
    let born = u64::try_from(message.born_timestamp).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
        .saturating_sub(Duration::from_millis(born))
}
