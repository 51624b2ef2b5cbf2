//! Every setting of the Java client is named in docs/configuration.md, with ours or with a reason (PROTOCOL E.1, E.2).

use std::{fs, path::Path};

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    fs::read_to_string(path).unwrap()
}

/// The keys in the first column of the tables from one heading to another.
fn keys(protocol: &str) -> Vec<String> {
    let from = protocol.find("## E.1 ").unwrap();
    let to = protocol.find("## E.3 ").unwrap();
    let rows = protocol[from..to]
        .lines()
        .filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let mut keys = Vec::new();
    for cell in cells.filter(|cell| *cell != "key") {
        let cell = cell.split_once(": ").map_or(cell, |(_, rest)| rest);
        for key in cell.split([',', '/']) {
            let key = key.split(" (").next().unwrap_or_default().trim();
            keys.push(key.to_owned());
        }
    }
    keys
}

#[test]
fn every_java_setting_of_the_protocol_has_a_row() {
    let keys = keys(&read("protocol.md"));
    assert!(keys.len() > 50, "{keys:?}");
    let ours = read("configuration.md");
    for key in keys {
        let row = ours
            .lines()
            .find(|line| line.starts_with(&format!("| `{key}`")));
        let row = row.unwrap_or_else(|| panic!("`{key}` has no row in docs/configuration.md"));
        let cells: Vec<_> = row.split(" | ").map(str::trim).collect();
        let says = |cell: &&str| !cell.trim_matches('|').trim().is_empty();
        assert!(cells.iter().skip(1).any(says), "{row}");
    }
}
