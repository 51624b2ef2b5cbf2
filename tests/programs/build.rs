//! Builds the example programs of a package.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the examples of the package whose test this is, as that test was built; gives their folder.
pub(crate) fn programs() -> PathBuf {
    // TARGET/PROFILE/deps/programs-HASH is this program.
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().and_then(Path::parent).unwrap();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--locked",
            "--examples",
            "--profile",
            profile,
        ])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .arg("--target-dir")
        .arg(folder.parent().unwrap())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the examples do not build"
    );
    folder.join("examples")
}
