//! The example programs of each runtime keep the same contracts: run as processes, against servers in this
//! one. A runtime's test target includes this file; the programs that it runs are those of its own package.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rocketmq_proto::{ResponseCode, StoredMessage};
use rocketmq_testkit::{Cluster, Fault, FaultRule};
use serde_json::Value;

mod build;

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

pub(crate) const TOPIC: &str = "programs";
/// Between two looks at what others bring about.
const PAUSE: Duration = Duration::from_millis(2);

// ---- produce --------------------------------------------------------------------------------------

#[test]
fn produce_sends_each_line_as_raw_bytes_and_reports_in_input_order() -> Result {
    let cluster = cluster()?;
    let input = b"one\n\n\xff\xfe\x00\nwith return\r\nlast, without an end";
    let output = produce(&cluster, &["--tag", "X", "--key-prefix", "k-"], input)?;

    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let order: Vec<u64> = parse(&text)?.iter().map(line_of).collect();
    assert_eq!(order, [1, 3, 4, 5], "empty lines are counted and skipped");
    for line in text.lines() {
        assert_eq!(
            keys_in_order(line),
            [
                "line",
                "status",
                "message_id",
                "offset_message_id",
                "broker",
                "queue_id",
                "queue_offset"
            ]
        );
    }
    let stored = by_message_id(&cluster);
    let bodies: [&[u8]; 4] = [
        b"one",
        b"\xff\xfe\x00",
        b"with return\r",
        b"last, without an end",
    ];
    for (line, body) in parse(&text)?.iter().zip(bodies) {
        let message = &stored[text_of(line, "message_id")];
        assert_eq!(message.body, body);
        assert_eq!(message.properties.get("TAGS"), Some("X"));
        let key = format!("k-{}", line_of(line));
        assert_eq!(message.properties.get("KEYS"), Some(key.as_str()));
        assert_receipt_is_true(line, message);
    }
    assert_eq!(stored.len(), 4);
    let summary = String::from_utf8(output.stderr)?;
    assert!(
        summary.starts_with("produce: sent 4, failed 0, retries 0, "),
        "{summary}"
    );
    Ok(())
}

#[test]
fn every_line_of_the_readme_is_read_back_equal_whatever_the_way() -> Result {
    let readme = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"))?;
    let lines: Vec<&[u8]> = readme.split(|&byte| byte == b'\n').collect();
    let full = |(index, line): (usize, &&[u8])| (!line.is_empty()).then_some(index as u64 + 1);
    let numbers: Vec<u64> = lines.iter().enumerate().filter_map(full).collect();
    let ways: [&[&str]; 8] = [
        &[],
        &["--in-flight", "1"],
        &["--encoding", "binary"],
        &["--batch", "7"],
        &["--batch", "7", "--encoding", "binary", "--in-flight", "5"],
        &["--batch", "100000", "--in-flight", "1"],
        &["--compress-over", "40"],
        &["--group", "other", "--in-flight", "100000"],
    ];
    for way in ways {
        let cluster = cluster()?;
        let output = produce(&cluster, way, &readme)?;
        assert_eq!(output.status.code(), Some(0), "{way:?}: {output:?}");
        let reported = parse(&String::from_utf8(output.stdout)?)?;
        let order: Vec<u64> = reported.iter().map(line_of).collect();
        assert_eq!(order, numbers, "{way:?}");

        let stored = by_message_id(&cluster);
        assert_eq!(stored.len(), numbers.len(), "{way:?}: an id for each line");
        for line in &reported {
            let message = &stored[text_of(line, "message_id")];
            let expected = lines[line_of(line) as usize - 1];
            assert_eq!(message.decompressed_body(1 << 20)?, expected, "{way:?}");
            assert_receipt_is_true(line, message);
        }
        let compressed = |message: &&StoredMessage| message.sys_flag.is_compressed();
        let count = stored.values().filter(compressed).count();
        assert_eq!(
            count > 0,
            way.contains(&"--compress-over"),
            "{way:?}: {count} compressed"
        );
    }
    Ok(())
}

#[test]
fn oneway_lines_are_sent_and_reported_without_ids() -> Result {
    let cluster = cluster()?;
    let output = produce(&cluster, &["--oneway", "--in-flight", "10"], &numbered(100))?;

    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let reported = parse(&String::from_utf8(output.stdout)?)?;
    assert_eq!(reported.len(), 100);
    for (index, line) in reported.iter().enumerate() {
        assert_eq!(line_of(line), index as u64 + 1);
        assert_eq!(line["status"], "ONEWAY");
        assert_eq!(line["message_id"], Value::Null);
    }
    // The brokers take what the sockets hold.
    wait_until(|| bodies(&cluster).len() == 100)?;
    assert_eq!(bodies(&cluster), sorted_lines(&numbered(100)));
    Ok(())
}

#[test]
fn a_line_that_cannot_be_a_message_fails_alone() -> Result {
    let long = vec![b'x'; 5 << 20];
    let input = [b"a\n".as_slice(), &long, b"\nb\nc\n"].concat();
    for way in [&[][..], &["--batch", "3"], &["--oneway"]] {
        let cluster = cluster()?;
        let output = produce(&cluster, way, &input)?;
        assert_eq!(output.status.code(), Some(1), "{way:?}");
        let text = String::from_utf8(output.stdout)?;
        let reported = parse(&text)?;
        let order: Vec<u64> = reported.iter().map(line_of).collect();
        assert_eq!(order, [1, 2, 3, 4], "{way:?}");
        let failed = text.lines().nth(1).unwrap_or_default();
        assert_eq!(
            keys_in_order(failed),
            ["line", "error", "kind", "certainty"]
        );
        assert_eq!(reported[1]["kind"], "InvalidMessage");
        assert_eq!(reported[1]["certainty"], "NotSent");
        assert!(text_of(&reported[1], "error").contains("MAX: 4194304. It has 5242880 bytes"));
        wait_until(|| bodies(&cluster).len() == 3)?;
    }
    Ok(())
}

#[test]
fn a_line_too_long_for_a_batch_is_sent_alone() -> Result {
    let longest = vec![b'x'; 4 << 20];
    let input = [b"a\n".as_slice(), &longest, b"\nb\n"].concat();
    let cluster = cluster()?;
    let output = produce(
        &cluster,
        &["--batch", "10", "--compress-over", "5000000"],
        &input,
    )?;
    assert_eq!(
        output.status.code(),
        Some(0),
        "{:?}",
        String::from_utf8(output.stderr)
    );
    assert_eq!(bodies(&cluster), sorted_lines(&input));
    Ok(())
}

#[test]
fn what_brokers_refuse_is_reported_for_each_line() -> Result {
    let cluster = Cluster::builder().topic(TOPIC, 1).start()?;
    // A refusal that is not worth another try.
    let refusal = Fault::Answer {
        code: ResponseCode::MESSAGE_ILLEGAL,
        remark: Some("not today".into()),
    };
    cluster
        .broker(0)
        .inject(FaultRule::new(refusal).sends().nth(2))?;
    let output = produce(&cluster, &["--in-flight", "1"], b"a\nb\nc\n")?;

    assert_eq!(output.status.code(), Some(1));
    let reported = parse(&String::from_utf8(output.stdout)?)?;
    assert_eq!(reported[0]["status"], "SEND_OK");
    assert_eq!(reported[1]["kind"], "Broker");
    assert_eq!(reported[1]["certainty"], "Rejected");
    assert!(
        text_of(&reported[1], "error").contains("not today"),
        "{}",
        reported[1]
    );
    assert_eq!(reported[2]["status"], "SEND_OK");
    Ok(())
}

#[test]
fn wrong_arguments_end_with_code_2_before_anything_is_sent() -> Result {
    let cluster = cluster()?;
    let servers = cluster.name_server_list();
    let wrong: [&[&str]; 8] = [
        &["--topic", "T"],
        &["--namesrv", &servers],
        &["--namesrv", "no port", "--topic", "T"],
        &["--namesrv", &servers, "--topic", "a topic"],
        &["--namesrv", &servers, "--topic", "T", "--tag", " "],
        &["--namesrv", &servers, "--topic", "T", "--group", "a group"],
        &["--namesrv", &servers, "--topic", "T", "--batch", "0"],
        &[
            "--namesrv",
            &servers,
            "--topic",
            "T",
            "--batch",
            "2",
            "--oneway",
        ],
    ];
    for arguments in wrong {
        let output = run(program("produce").args(arguments), b"line\n")?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(
            !output.stderr.is_empty() && output.stdout.is_empty(),
            "{arguments:?}"
        );
    }
    assert!(bodies(&cluster).is_empty());
    Ok(())
}

#[test]
fn results_come_while_the_input_is_still_open() -> Result {
    let cluster = cluster()?;
    let mut child = spawn(&mut produce_command(&cluster, &[]))?;
    let mut input = child.stdin.take().ok_or("no input")?;
    let mut results = BufReader::new(child.stdout.take().ok_or("no output")?);
    for number in 1..=3 {
        writeln!(input, "line")?;
        let mut result = String::new();
        results.read_line(&mut result)?;
        assert_eq!(line_of(&serde_json::from_str(&result)?), number);
    }
    drop(input);
    assert_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn an_interrupt_ends_the_reading_and_reports_what_is_under_way() -> Result {
    let cluster = cluster()?;
    for broker in cluster.brokers() {
        let slow = FaultRule::new(Fault::Delay(Duration::from_millis(300))).sends();
        broker.inject(slow.every(1))?;
    }
    let mut child = spawn(&mut produce_command(&cluster, &[]))?;
    let mut input = child.stdin.take().ok_or("no input")?;
    input.write_all(&numbered(50))?;
    input.flush()?;
    wait_until(|| bodies(&cluster).len() == 50)?;
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
    // The input stays open: only the interrupt can end it.
    let output = child.wait_with_output()?;
    drop(input);

    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let reported = parse(&String::from_utf8(output.stdout)?)?;
    assert_eq!(reported.len(), 50);
    assert!(reported.iter().all(|line| line["status"] == "SEND_OK"));
    Ok(())
}

#[test]
fn a_reader_that_goes_away_ends_the_run_without_a_panic() -> Result {
    let cluster = cluster()?;
    let mut child = spawn(&mut produce_command(&cluster, &[]))?;
    let mut input = child.stdin.take().ok_or("no input")?;
    drop(child.stdout.take());
    // Ends early when the program does.
    let writer = thread::spawn(move || while input.write_all(&numbered(10_000)).is_ok() {});
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| "the writer panicked")?;

    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr)?;
    assert!(
        errors.contains("cannot write to standard output"),
        "{errors}"
    );
    assert!(!errors.contains("panicked"), "{errors}");
    Ok(())
}

#[test]
fn an_unreachable_name_server_ends_produce_at_once_with_its_address() -> Result {
    let address = nobody_listens()?;
    let begun = Instant::now();
    let arguments = ["--namesrv", &address, "--topic", "T"];
    let output = run(program("produce").args(arguments), b"")?;
    assert_one_error_line(&output, &address)?;
    assert!(begun.elapsed() < Duration::from_secs(5));
    Ok(())
}

// ---- quickstart -----------------------------------------------------------------------------------

#[test]
fn quickstart_needs_nothing_and_shows_what_came_back() -> Result {
    let output = run(&mut program("quickstart"), b"")?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    for part in [
        "SEND_OK",
        "message id",
        "messages/s",
        "p50",
        "p99",
        "0 abandoned",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(
        output.stderr.is_empty(),
        "no progress bar without a terminal"
    );
    Ok(())
}

#[test]
fn quickstart_sends_to_a_cluster_that_it_is_given() -> Result {
    let cluster = Cluster::builder().name_servers(2).brokers(2).start()?;
    let servers = cluster.name_server_list();
    let output = run(program("quickstart").args(["--namesrv", &servers]), b"")?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let stored = |broker: &_| rocketmq_testkit::Handle::stored(broker, "quickstart").len();
    let total: usize = cluster.brokers().iter().map(stored).sum();
    assert_eq!(total, 10_001);
    Ok(())
}

#[test]
fn quickstart_names_a_name_server_that_cannot_be_reached_within_the_send_timeout() -> Result {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let silent = (silent.local_addr()?.to_string(), silent);
    for address in [&nobody_listens()?, &silent.0] {
        let begun = Instant::now();
        let output = run(program("quickstart").args(["--namesrv", address]), b"")?;
        assert_one_error_line(&output, address)?;
        // 3 s, and what a busy machine takes to start and end a process.
        assert!(begun.elapsed() < Duration::from_secs(5), "{address}");
    }
    Ok(())
}

// ---- bench ----------------------------------------------------------------------------------------

#[test]
fn bench_prints_one_line_for_each_mode() -> Result {
    let cluster = Cluster::builder().discard(true).start()?;
    let servers = cluster.name_server_list();
    for (mode, threads) in [
        ("sync", "1"),
        ("batch", "1"),
        ("enqueue", "1"),
        ("oneway", "1"),
        ("sync", "2"),
    ] {
        let (words, values) = measured(&servers, mode, &["--threads", threads])?;
        assert_eq!(
            words,
            format!("{mode} n= size= width= wall=s rate=/s cpu=us/msg p50=us p99=us failed=")
        );
        assert_eq!(values[..3], [2000.0, 100.0, 16.0]);
        assert!(values[3..8].iter().all(|&value| value > 0.0), "{values:?}");
        assert_eq!(values[8..], [0.0]);
    }
    Ok(())
}

#[test]
fn bench_tells_details_behind_its_line() -> Result {
    let cluster = Cluster::builder().discard(true).start()?;
    let servers = cluster.name_server_list();
    let (words, values) = measured(&servers, "sync", &["--details"])?;
    assert_eq!(
        words,
        "sync n= size= width= wall=s rate=/s cpu=us/msg p50=us p99=us failed= p999=us peak=KiB \
         switches=/msg"
    );
    let p99 = values[7];
    let [failed, p999, peak, switches] = values[8..] else {
        panic!("{values:?}");
    };
    assert_eq!(failed, 0.0);
    assert!(p999 >= p99 && switches > 0.0, "{values:?}");
    assert_eq!(peak > 0.0, cfg!(target_os = "linux"), "{values:?}");
    Ok(())
}

#[test]
fn bench_refuses_a_topic_whose_numbered_names_are_too_long() -> Result {
    let cluster = cluster()?;
    let servers = cluster.name_server_list();
    // With "-9" it has the 127 bytes that a name may have, with "-10" one more.
    let topic = "t".repeat(125);
    for (topics, code) in [("10", 0), ("11", 2)] {
        let many = ["--topic", &topic, "--topics", topics];
        let output = bench(&servers, "sync", &many)?;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let error = String::from_utf8(output.stderr)?;
        let named = error.contains(&format!("{topic}-10")) && error.contains("127");
        assert_eq!(named, code == 2, "{error}");
    }
    Ok(())
}

#[test]
fn bench_counts_failures_and_tells_the_first() -> Result {
    let cluster = cluster()?;
    let servers = cluster.name_server_list();
    let too_large = [
        "--mode", "batch", "--count", "10", "--size", "1000000", "--width", "10",
    ];
    let output = run(
        program("bench")
            .args(["--namesrv", &servers])
            .args(too_large),
        b"",
    )?;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stdout)?
            .trim_end()
            .ends_with("failed=10")
    );
    assert!(String::from_utf8(output.stderr)?.contains("MAX: 4194304"));
    Ok(())
}

// ---- helpers --------------------------------------------------------------------------------------

pub(crate) fn cluster() -> Result<Cluster> {
    Ok(Cluster::builder().brokers(2).start()?)
}

/// A short run of `bench`.
fn bench(servers: &str, mode: &str, arguments: &[&str]) -> Result<Output> {
    let common = ["--namesrv", servers, "--mode", mode];
    let load = ["--count", "2000", "--size", "100", "--width", "16"];
    let mut command = program("bench");
    run(command.args(common).args(load).args(arguments), b"")
}

/// The one line of such a run that sent everything: its words, and its numbers.
fn measured(servers: &str, mode: &str, arguments: &[&str]) -> Result<(String, Vec<f64>)> {
    let output = bench(servers, mode, arguments)?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    assert_eq!(text.lines().count(), 1, "{text}");
    Ok(shape(&text))
}

pub(crate) fn produce(cluster: &Cluster, arguments: &[&str], input: &[u8]) -> Result<Output> {
    run(&mut produce_command(cluster, arguments), input)
}

fn produce_command(cluster: &Cluster, arguments: &[&str]) -> Command {
    let mut command = program("produce");
    command.args(["--namesrv", &cluster.name_server_list(), "--topic", TOPIC]);
    command.args(arguments);
    command
}

/// Runs a program to its end with this input.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Result<Output> {
    let mut child = spawn(command)?;
    let mut stdin = child.stdin.take().ok_or("no input")?;
    let input = input.to_vec();
    // A program that ends early does not read all of it.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| "the writer panicked")?;
    Ok(output)
}

fn spawn(command: &mut Command) -> Result<Child> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(piped.stderr(Stdio::piped()).spawn()?)
}

/// An example program, built once for all tests, with the profile of this one.
/// A program of this package. All examples of the workspace are built into one folder: those of other
/// runtimes than tokio have names of their own.
pub(crate) fn program(name: &str) -> Command {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(build::programs);
    Command::new(match env!("CARGO_PKG_NAME") {
        "rocketmq-tokio" => folder.join(name),
        package => folder.join(format!(
            "{}-{name}",
            package.trim_start_matches("rocketmq-")
        )),
    })
}

pub(crate) fn parse(lines: &str) -> Result<Vec<Value>> {
    Ok(lines
        .lines()
        .map(serde_json::from_str)
        .collect::<std::result::Result<_, _>>()?)
}

fn line_of(line: &Value) -> u64 {
    line["line"].as_u64().unwrap()
}

pub(crate) fn text_of<'a>(line: &'a Value, key: &str) -> &'a str {
    line[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {line}"))
}

/// The keys of an object without nested ones, as they stand in the text.
fn keys_in_order(object: &str) -> Vec<&str> {
    let parts: Vec<&str> = object.split('"').collect();
    let named = parts.windows(2).filter(|pair| pair[1].starts_with(':'));
    named.map(|pair| pair[0]).collect()
}

/// What a receipt says is where the message is.
fn assert_receipt_is_true(line: &Value, message: &StoredMessage) {
    assert_eq!(line["status"], "SEND_OK");
    let offset_message_id = message.offset_message_id().to_string();
    assert_eq!(line["offset_message_id"], offset_message_id.as_str());
    assert_eq!(line["queue_id"], message.queue_id);
    assert_eq!(line["queue_offset"], message.queue_offset);
}

fn by_message_id(cluster: &Cluster) -> HashMap<String, StoredMessage> {
    let stored = stored(cluster).into_iter();
    stored
        .map(|message| {
            (
                message.properties.get("UNIQ_KEY").unwrap().to_owned(),
                message,
            )
        })
        .collect()
}

fn stored(cluster: &Cluster) -> Vec<StoredMessage> {
    cluster
        .brokers()
        .iter()
        .flat_map(|broker| broker.stored(TOPIC))
        .collect()
}

fn bodies(cluster: &Cluster) -> Vec<Vec<u8>> {
    let mut bodies: Vec<_> = stored(cluster)
        .iter()
        .map(|message| message.body.to_vec())
        .collect();
    bodies.sort();
    bodies
}

fn sorted_lines(input: &[u8]) -> Vec<Vec<u8>> {
    let lines = input
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty());
    let mut lines: Vec<_> = lines.map(<[u8]>::to_vec).collect();
    lines.sort();
    lines
}

pub(crate) fn numbered(lines: usize) -> Vec<u8> {
    (0..lines)
        .flat_map(|number| format!("line {number}\n").into_bytes())
        .collect()
}

/// An address at which connecting fails.
fn nobody_listens() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

fn assert_one_error_line(output: &Output, address: &str) -> Result {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr.clone())?;
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(address), "{text}");
    Ok(())
}

/// A text without its numbers, and the numbers that follow a `=`.
fn shape(text: &str) -> (String, Vec<f64>) {
    let (mut words, mut values) = (Vec::new(), Vec::new());
    for word in text.split_whitespace() {
        let Some((key, value)) = word.split_once('=') else {
            words.push(word.to_owned());
            continue;
        };
        let end = value
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(value.len());
        values.push(value[..end].parse().unwrap());
        words.push(format!("{key}={}", &value[end..]));
    }
    (words.join(" "), values)
}

/// Waits for what other processes and threads bring about.
fn wait_until(done: impl Fn() -> bool) -> Result {
    let until = Instant::now() + Duration::from_secs(10);
    while !done() {
        if Instant::now() > until {
            return Err("it did not come about within 10 s".into());
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
