//! The example programs keep their contracts, and `verify` finds what they did.

#![cfg(unix)]

use std::fs;

#[path = "../../tests/programs/mod.rs"]
mod programs;

use programs::{Result, TOPIC, cluster, numbered, parse, produce, program, run, text_of};

#[test]
fn verify_finds_what_produce_reported_and_notices_what_is_not_there() -> Result {
    let cluster = cluster()?;
    let folder = std::env::temp_dir().join(format!("verify-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let (input, results) = (folder.join("input"), folder.join("results"));
    fs::write(&input, numbered(100))?;
    let output = produce(&cluster, &["--batch", "3"], &numbered(100))?;
    let truth = String::from_utf8(output.stdout)?;
    let second = parse(&truth)?.remove(1);
    let with_other_id = truth.replacen(text_of(&second, "message_id"), "NOSUCH", 1);
    let rows = [
        (
            truth.clone(),
            0,
            "stored 100, failed 0 (0 of them unknown), out of order 0",
        ),
        (with_other_id, 1, "missing 1"),
        (
            truth.replacen("\"line\":2,", "\"line\":9,", 1),
            1,
            "out of order 1",
        ),
    ];
    for (text, code, finding) in rows {
        fs::write(&results, text)?;
        let mut command = program("verify");
        command.args(["--namesrv", &cluster.name_server_list(), "--topic", TOPIC]);
        command
            .arg("--input")
            .arg(&input)
            .arg("--results")
            .arg(&results);
        let output = run(&mut command, b"")?;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let findings = String::from_utf8(output.stdout)?;
        assert!(findings.contains(finding), "{findings}");
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}
