#!/usr/bin/env bash
# The oldest Rust that this workspace promises to build with (MSRV), checked as far as the installed
# toolchains allow:
#
# * every crate of the workspace declares it, and the edition;
# * every package that a published crate brings along declares a rust-version that is no newer, but
#   for the few named below;
# * our own code uses nothing of the standard library that is newer (clippy's incompatible_msrv);
# * where that toolchain is installed, everything is compiled with it.
#
#   tests/scripts/msrv.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
msrv=1.85
edition=2024

main() {
    declared_by_all
    headline "clippy's incompatible_msrv"
    cargo clippy --locked --workspace --all-features --all-targets --quiet -- \
        -A clippy::all -D clippy::incompatible_msrv
    if RUSTUP_AUTO_INSTALL=0 cargo "+$msrv" --version >/dev/null 2>&1; then
        headline "cargo +$msrv check"
        cargo "+$msrv" check --locked --workspace --all-features --all-targets
    else
        echo "no toolchain $msrv here: not compiled with it"
    fi
}

# Development dependencies are left out: nobody but us builds them, with the toolchain we have.
declared_by_all() {
    headline "declared versions"
    cargo metadata --locked --format-version 1 --all-features | python3 -c '
import json, sys

msrv, edition = sys.argv[1:]
# They declare no version. All of them are written in editions from before 2024, the first that needs
# Rust 1.85, and those of hashes and ring are years old.
known_silent = {
    "adler2", "httparse", "miniz_oxide", "simd-adler32", "wasi", "hermit-abi",
    # acl: hmac and sha1
    "block-buffer", "cpufeatures", "crypto-common", "digest", "generic-array", "hmac", "sha1", "subtle",
    "version_check",
    # tls: ring and the roots of macOS
    "core-foundation-sys", "getrandom", "untrusted",
}
metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
number = lambda version: [int(part) for part in version.split(".")]
wrong = []

for id in metadata["workspace_members"]:
    package = packages[id]
    if package["rust_version"] != msrv or package["edition"] != edition:
        wrong.append("%(name)s declares rust-version %(rust_version)s and edition %(edition)s" % package)

reached, queue = set(), [id for id in metadata["workspace_members"] if packages[id]["publish"] != []]
while queue:
    id = queue.pop()
    if id in reached:
        continue
    reached.add(id)
    for dependency in nodes[id]["deps"]:
        if any(kind["kind"] in (None, "build") for kind in dependency["dep_kinds"]):
            queue.append(dependency["pkg"])

for id in sorted(reached):
    package = packages[id]
    if package["rust_version"] is None:
        if package["name"] not in known_silent:
            wrong.append("%(name)s %(version)s declares no rust-version: find out, and name it in this script" % package)
    elif number(package["rust_version"]) > number(msrv):
        wrong.append("%(name)s %(version)s needs Rust %(rust_version)s" % package)

for name in known_silent - {packages[id]["name"] for id in reached}:
    wrong.append("%s is not brought along any more: take its name out of this script" % name)

print("%d packages that users build" % len(reached))
for line in wrong:
    print("msrv: " + line, file=sys.stderr)
sys.exit(bool(wrong))
' "$msrv" "$edition"
}

headline() {
    echo "--- $*"
}

main
