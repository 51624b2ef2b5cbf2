//! The documents that name tests as proof: each name is that of a test, each row is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where tests live, from the root of the repository.
const FOLDERS: [&str; 6] = [
    "engine",
    "proto",
    "runtime-async-std",
    "runtime-blocking",
    "runtime-tokio",
    "tests",
];

#[test]
fn every_test_that_a_document_names_exists() {
    let tests = tests();
    for document in ["known-issues-of-others.md", "parity.md"] {
        let text = document_text(document);
        let mut named = 0;
        for row in rows(&text) {
            let proof = row.last().expect("a row has columns");
            for name in code_words(proof) {
                assert!(
                    tests.contains(name),
                    "{document} names {name}, which is no test: {row:?}"
                );
                named += 1;
            }
        }
        assert!(named > 50, "{document} names only {named} tests");
    }
}

#[test]
fn every_known_issue_of_others_has_its_row_and_its_answer() {
    let text = document_text("known-issues-of-others.md");
    let rows = rows(&text);
    let found: Vec<_> = rows.iter().map(|row| row[0].clone()).collect();
    let java = (1..=40).map(|number| number.to_string());
    let go = (1..=13).map(|number| format!("Go{number}"));
    assert_eq!(found, java.chain(go).collect::<Vec<_>>());
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(!row[3].is_empty(), "{row:?} has no answer");
    }
}

#[test]
fn every_row_of_the_parity_table_has_its_proof_or_says_that_it_is_missing() {
    let text = document_text("parity.md");
    let rows = rows(&text);
    assert!(rows.len() > 40, "{} rows", rows.len());
    for row in &rows {
        assert_eq!(row.len(), 7, "{row:?}");
        let proof = &row[6];
        let is_open = proof.starts_with('-') && row[1].contains("not built yet");
        let is_proved = code_words(proof).next().is_some() && !row[1].contains("not built");
        assert!(is_open || is_proved, "{row:?}");
    }
}

fn document_text(name: &str) -> String {
    let path = root().join("docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of all tables, without their heads: the cells of each.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut in_table = false;
    for line in text.lines() {
        if !line.starts_with('|') {
            in_table = false;
        } else if line.starts_with("|---") {
            in_table = true;
        } else if in_table {
            let cells = line.trim_matches('|').split('|');
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}

/// What stands between backticks.
fn code_words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The names of all tests: functions marked as such, and scenarios that the suites list.
fn tests() -> BTreeSet<String> {
    let suites = root().join("tests/suite");
    let listed = fs::read_to_string(suites.join("mod.rs")).expect("the list of scenarios");
    let listed: BTreeSet<&str> = listed
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    let mut tests = BTreeSet::new();
    for folder in FOLDERS {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("a source file");
            let mut is_marked = false;
            for line in text.lines().map(str::trim) {
                let Some(name) = function_name(line) else {
                    // An attribute or a comment may stand between the mark and the function.
                    is_marked |= line == "#[test]";
                    is_marked &= line.starts_with("#[") || line.starts_with("//");
                    continue;
                };
                let is_scenario = path.starts_with(&suites) && listed.contains(name);
                if is_marked || is_scenario {
                    tests.insert(name.to_owned());
                }
                is_marked = false;
            }
        }
    }
    assert!(tests.len() > 500, "found only {} tests", tests.len());
    tests
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_function = before.is_empty() || before.starts_with("pub") || before == "async ";
    let end = after.find(['(', '<'])?;
    is_function.then_some(&after[..end])
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
