//! The example `transaction`, as processes: one is killed between half message and end, the next one answers for it
//! from the database. Nothing is lost and nothing is doubled.

#![cfg(unix)]

#[path = "../../tests/programs/build.rs"]
mod build;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rocketmq_testkit::{Cluster, HalfState};
use rusqlite::Connection;

const TOPIC: &str = "orders";
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn an_order_is_announced_exactly_if_it_is_in_the_database_whenever_the_process_dies()
-> Result<(), Box<dyn Error>> {
    for (crash, expected) in [
        ("after-commit", [1, 2, 4, 5].as_slice()),
        ("before-commit", &[1, 2, 4]),
    ] {
        let cluster = Cluster::builder()
            .topic(TOPIC, 4)
            .configure_brokers(|broker| {
                broker.check_after_ms = 0;
                broker.check_interval_ms = Some(u64::MAX);
            })
            .start()?;
        let folder =
            std::env::temp_dir().join(format!("transaction-{crash}-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let database = folder.join("orders.sqlite");

        let first = ["--orders", "8", "--crash-at", "5", "--crash", crash];
        let output = example(&cluster, &database).args(first).output()?;
        assert!(!output.status.success(), "it was to crash: {output:?}");
        let broker = cluster.broker(0);
        eventually("order 3 is rolled back", || {
            broker
                .halves()
                .iter()
                .filter(|h| h.state != HalfState::Open)
                .count()
                == 4
        });
        let open = || {
            broker
                .halves()
                .iter()
                .filter(|half| half.state == HalfState::Open)
                .count()
        };
        assert_eq!(open(), 1, "that of order 5");

        let mut second = example(&cluster, &database);
        let second = second.args(["--orders", "0", "--settle", "60", "--patience", "0"]);
        let child = second.stdout(Stdio::piped()).spawn()?;
        eventually("the broker's question is answered", || {
            broker.check_halves();
            open() == 0
        });
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
        assert!(child.wait_with_output()?.status.success());

        let announced = broker.stored(TOPIC).into_iter().map(|message| {
            let body = String::from_utf8_lossy(&message.body).into_owned();
            body.trim_start_matches("order ").parse::<u32>()
        });
        let mut announced = announced.collect::<Result<Vec<_>, _>>()?;
        announced.sort_unstable();
        assert_eq!(announced, expected, "{crash}");
        assert_eq!(placed(&database)?, expected, "{crash}");
        fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

fn example(cluster: &Cluster, database: &Path) -> Command {
    let mut command = Command::new(build::programs().join("transaction"));
    command.args(["--namesrv", &cluster.name_server_list(), "--topic", TOPIC]);
    command.arg("--database").arg(database);
    command
}

fn placed(database: &PathBuf) -> Result<Vec<u32>, rusqlite::Error> {
    let connection = Connection::open(database)?;
    let mut orders = connection.prepare("SELECT number FROM orders ORDER BY number")?;
    orders.query_map((), |row| row.get(0))?.collect()
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
