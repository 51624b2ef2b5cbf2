#!/usr/bin/env bash
# The dependency budgets of docs/design.md, section 2. Fails with the list of what is too much.
#
#   tests/scripts/budgets.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
failed=

main() {
    at_most 20 rocketmq-proto rocketmq-engine
    at_most 40 rocketmq-tokio

    # An independent witness cannot share the bugs of what it watches.
    without rocketmq-testkit 'rocketmq-(engine|tokio|async-std|blocking)|tokio|async-.*|futures.*'
    without rocketmq-engine 'tokio.*|async-.*|futures.*'
    without rocketmq-tokio 'async-(std|io)|smol'
    without rocketmq-async-std 'tokio.*'
    without rocketmq-blocking 'tokio.*|async-.*|futures.*'

    local package folder
    for package in rocketmq-proto rocketmq-engine rocketmq-tokio rocketmq-async-std rocketmq-blocking; do
        without_c_build "$package"
    done
    for folder in proto engine; do
        denies_io "$folder"
    done
    [ -z "$failed" ]
}

# at_most LIMIT PACKAGE...: what the packages bring into a build with their default features on this
# machine, themselves included, macros included, development dependencies not.
at_most() {
    local limit=$1 list count
    shift
    list=$(crates normal "$@")
    count=$(wc -l <<<"$list")
    echo "$*: $count crates (at most $limit)"
    if [ "$count" -gt "$limit" ]; then
        refuse "$* may bring at most $limit crates, but bring $count:" "$list"
    fi
}

# without PACKAGE PATTERN: no dependency's whole name matches the extended regular expression.
without() {
    local list
    list=$(crates normal "$1")
    list=$(grep -vE "^$1 " <<<"$list" | grep -E "^($2) " || true)
    if [ -n "$list" ]; then
        refuse "$1 must not depend on:" "$list"
    fi
}

# The default features stay pure Rust. The -sys crates that are let through hold declarations only.
without_c_build() {
    local list
    list=$(crates normal,build "$1")
    list=$(grep -E '^(cc|cmake|pkg-config|bindgen|[^ ]*-sys) ' <<<"$list" |
        grep -vE '^(linux-raw-sys|windows-sys) ' || true)
    if [ -n "$list" ]; then
        refuse "$1 with its default features must build without a C compiler or system library, but needs:" "$list"
    fi
}

denies_io() {
    if ! grep -qE '^#!\[.*deny\(.*clippy::disallowed_methods' "$1/src/lib.rs"; then
        refuse "$1/src/lib.rs must hold #![deny(clippy::disallowed_methods)], see clippy.toml"
    fi
}

# crates EDGES PACKAGE...: one "name version" a line.
crates() {
    local edges=$1
    shift
    cargo tree --locked -e "$edges" --prefix none --format '{p}' "${@/#/--package=}" |
        awk 'NF { print $1, $2 }' | sort -u
}

# refuse WHY [LIST]
refuse() {
    local line
    failed=yes
    echo "budgets: $1" >&2
    shift
    while [ $# -gt 0 ] && read -r line; do
        echo "    $line" >&2
    done <<<"${1:-}"
}

main
