#!/usr/bin/env bash
# Runs the suite of every runtime again and again, to find what fails only now and then. Prints how many
# scenarios each has, how often it ran, and each failure; its exit code is 1 when there was one.
#
#   tests/scripts/repeat-suites.sh [TIMES [CRATE...]]   (default: 20 times, all three runtimes)
#
# What a run prints is kept when it failed, in a folder that is named at the end.
set -euo pipefail
cd "$(dirname "$0")/../.."
times=${1:-20}
crates=("${@:2}")
[ ${#crates[@]} -gt 0 ] || crates=(rocketmq-tokio rocketmq-async-std rocketmq-blocking)
logs=$(mktemp -d "${TMPDIR:-/tmp}/rocketmq-repeat.XXXXXX")
failures=0

main() {
    local crate run
    for crate in "${crates[@]}"; do
        cargo test --quiet --locked -p "$crate" --all-features --test suite --no-run
    done
    for ((run = 1; run <= times; run++)); do
        for crate in "${crates[@]}"; do
            suite "$crate" "$run"
        done
    done
    if [ "$failures" -gt 0 ]; then
        echo "$failures runs failed; what they printed is in $logs"
        exit 1
    fi
    rm -rf "$logs"
    echo "no run failed"
}

suite() {
    local crate=$1 run=$2 log=$logs/$1-$2
    if cargo test --quiet --locked -p "$crate" --all-features --test suite >"$log" 2>&1; then
        printf '%-20s run %2d  %s\n' "$crate" "$run" "$(grep -h '^test result' "$log")"
        rm "$log"
    else
        failures=$((failures + 1))
        printf '%-20s run %2d  FAILED\n' "$crate" "$run"
        sed -n '/^failures:$/,$p' "$log" | grep '^    ' | sort -u || true
    fi
}

main "$@"
