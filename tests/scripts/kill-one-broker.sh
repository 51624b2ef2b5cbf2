#!/usr/bin/env bash
# Kills one of two real brokers in the middle of a run of the example `produce`, and checks that every
# line is accounted for.
#
#   tests/scripts/real-servers.sh tests/scripts/kill-one-broker.sh [LINES [BODY_BYTES]]
#
# 200 000 lines of 100 bytes unless said otherwise, 1000 in flight. When a third of the results is there,
# broker-a gets SIGKILL. What must hold afterwards:
#
#   - produce ended with code 0, or it reported the lines that failed
#   - after broker-a was started again over its store, every line reported as stored is read back equal
#   - by the brokers' clocks, messages are stored at a third of the rate of before again within 2 s of the
#     kill, and from then on: one broker of two can do no more than half
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
cluster=${ROCKETMQ_TEST_CLUSTER_DIR:?run this through tests/scripts/real-servers.sh}
namesrv=${ROCKETMQ_NAMESRV:?run this through tests/scripts/real-servers.sh}
lines=${1:-200000}
bytes=${2:-100}
topic=killed-$$
work=
producer=

main() {
    build
    work=$(mktemp -d "${TMPDIR:-/tmp}/kill-one-broker.XXXXXX")
    trap finish EXIT
    write_input
    create_topic_on_both
    touch "$work/results"
    "$programs/produce" --namesrv "$namesrv" --topic "$topic" --in-flight 1000 --key-prefix k \
        <"$work/input" >"$work/results" 2>"$work/summary" &
    producer=$!
    watch_and_kill

    local status=0
    wait "$producer" || status=$?
    producer=
    cat "$work/summary"
    echo "exit code of produce: $status"
    tell_failures

    echo "starting broker-a again"
    "$cluster/broker-a.start"
    "$programs/verify" --namesrv "$namesrv" --topic "$topic" --input "$work/input" \
        --results "$work/results" --patience 60 --rates-around "$(cat "$work/killed")" | tee "$work/findings"
    check_exit_code "$status"
    check_recovery
}

build() {
    cargo build --quiet --release --locked --manifest-path "$here/runtime-tokio/Cargo.toml" --examples
    programs=$(cargo metadata --locked --no-deps --format-version 1 --manifest-path "$here/Cargo.toml" |
        grep -o '"target_directory":"[^"]*"' | cut -d '"' -f 4)/release/examples
}

write_input() {
    awk -v lines="$lines" -v bytes="$bytes" 'BEGIN {
        padding = sprintf("%" bytes "s", ""); gsub(/ /, "x", padding)
        for (i = 1; i <= lines; i++) print substr(i " " padding, 1, bytes)
    }' >"$work/input"
}

# A broker creates a topic with the first message that it gets for it, and the name server may hear of
# that half a minute later. Until it knows both, there would be nowhere else to go.
create_topic_on_both() {
    # The first by the route of the topic that stands in for new ones, the others by the topic's own.
    send_some
    for _ in $(seq 60); do
        send_some
        if [ "$(grep -o '"broker":"[^"]*"' "$work/some" | sort -u | wc -l)" = 2 ]; then
            return
        fi
        sleep 1
    done
    echo "the topic does not get onto both brokers"
    exit 1
}

send_some() {
    if ! seq 32 | "$programs/produce" --namesrv "$namesrv" --topic "$topic" >"$work/some" 2>"$work/summary"; then
        cat "$work/some" "$work/summary"
        echo "the topic cannot be created"
        exit 1
    fi
}

watch_and_kill() {
    while kill -0 "$producer" 2>/dev/null; do
        if [ "$(wc -l <"$work/results")" -ge $((lines / 3)) ]; then
            kill -KILL "$(cat "$cluster/broker-a.pid")"
            date +%s%3N >"$work/killed"
            return
        fi
        sleep 0.1
    done
    cat "$work/summary"
    echo "produce ended before broker-a could be killed"
    exit 1
}

tell_failures() {
    local failed
    failed=$(grep -c '"error":' "$work/results" || true)
    echo "lines that failed: $failed"
    if [ "$failed" -gt 0 ]; then
        grep -m 3 '"error":' "$work/results"
        grep -o '"kind":.*' "$work/results" | sort | uniq -c
    fi
}

# verify prints "rate SECONDS PER_SECOND" for each half second around the kill.
check_recovery() {
    awk '
        $1 == "rate" && $2 < 0 { before += $3; n++ }
        $1 == "rate" && $2 >= 0 && before > 0 {
            if ($3 < before / n / 3) slow = $2 + 0.5
        }
        END {
            if (!before) { print "no message was stored before the kill"; exit 1 }
            printf "below a third of the rate of before (%d/s) for the last time %.1f s after the kill\n", before / n, slow
            if (slow > 2) exit 1
        }' "$work/findings"
}

check_exit_code() {
    local failed
    failed=$(grep -c '"error":' "$work/results" || true)
    if [ "$1" -ne 0 ] && { [ "$1" -ne 1 ] || [ "$failed" -eq 0 ]; }; then
        echo "produce ended with code $1, and reported $failed failed lines"
        return 1
    fi
}

finish() {
    if [ -n "$producer" ]; then
        kill "$producer" 2>/dev/null || true
    fi
    rm -rf "$work"
}

main
