//! What documentation tells people to type is there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Packages by folder.
const PACKAGES: [(&str, &str); 6] = [
    ("rocketmq-proto", "proto"),
    ("rocketmq-engine", "engine"),
    ("rocketmq-tokio", "runtime-tokio"),
    ("rocketmq-async-std", "runtime-async-std"),
    ("rocketmq-blocking", "runtime-blocking"),
    ("rocketmq-testkit", "tests"),
];

/// All are built into one folder, where the last one of a name would win.
#[test]
fn no_two_example_programs_have_one_name() {
    let mut owners = BTreeMap::new();
    for (package, name) in examples() {
        if let Some(other) = owners.insert(name.clone(), package) {
            panic!("{package} and {other} both have an example {name}");
        }
    }
    assert!(owners.len() > 10, "{owners:?}");
}

#[test]
fn every_example_that_documentation_runs_is_there() {
    let examples: Vec<_> = examples().collect();
    let mut commands = 0;
    for file in documents() {
        let text = fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| line.contains("cargo run ")) {
            let words: Vec<_> = line.split([' ', '`']).collect();
            let after = |flag| {
                let at = words.iter().position(|word| *word == flag)?;
                words.get(at + 1).copied()
            };
            let (Some(package), Some(name)) = (after("-p"), after("--example")) else {
                continue;
            };
            let known = |(p, n): &(&str, String)| *p == package && n == name;
            let file = file.display();
            assert!(examples.iter().any(known), "{file}: {line}");
            commands += 1;
        }
    }
    assert!(commands > 15, "{commands}");
}

/// What the README shows for each runtime is what that crate's own documentation compiles.
#[test]
fn the_examples_of_the_readme_are_those_of_the_crates() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let shown: Vec<_> = blocks(&readme, "").collect();
    let mut compiled = 0;
    for folder in ["runtime-tokio", "runtime-async-std", "runtime-blocking"] {
        let lib = fs::read_to_string(root().join(folder).join("src/lib.rs")).unwrap();
        for block in blocks(&lib, "//!").filter(|block| block.contains("fn main()")) {
            let here: Vec<_> = shown.iter().filter(|shown| **shown == block).collect();
            assert_eq!(here.len(), 1, "of {folder}, not in the README:\n{block}");
            compiled += 1;
        }
    }
    let ignored = readme.matches("```rust,ignore").count();
    let tokio = 1;
    assert_eq!(compiled, ignored + tokio, "each is compiled somewhere");
}

/// The code blocks of Rust in a text, without the lines that rustdoc hides.
fn blocks<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = String> + 'a {
    let mut lines = text.lines().map(move |line| {
        let line = line.strip_prefix(prefix).unwrap_or_default();
        line.strip_prefix(if prefix.is_empty() { "" } else { " " })
            .unwrap_or(line)
    });
    std::iter::from_fn(move || {
        lines.find(|line| {
            let info = line.strip_prefix("```");
            info.is_some_and(|info| info.starts_with("rust") || info.starts_with("no_run"))
        })?;
        let block = lines.by_ref().take_while(|line| !line.starts_with("```"));
        let shown = block.filter(|line| !line.starts_with("# "));
        Some(shown.map(|line| format!("{line}\n")).collect())
    })
}

fn examples() -> impl Iterator<Item = (&'static str, String)> {
    PACKAGES.into_iter().flat_map(|(package, folder)| {
        let entries = fs::read_dir(root().join(folder).join("examples")).unwrap();
        entries.filter_map(move |entry| {
            let path = entry.unwrap().path();
            let is_program = path.extension().is_some_and(|extension| extension == "rs")
                || path.join("main.rs").exists();
            let name = path.file_stem()?.to_str()?.to_owned();
            is_program.then_some((package, name))
        })
    })
}

/// The README, and everything in which rustdoc could stand.
fn documents() -> Vec<PathBuf> {
    let mut files = vec![root().join("README.md")];
    for (_, folder) in PACKAGES {
        for part in ["src", "examples"] {
            collect(&root().join(folder).join(part), &mut files).unwrap();
        }
    }
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
