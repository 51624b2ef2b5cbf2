#!/usr/bin/env bash
# Counts the system calls of a producer that is idle: started, with a live route and a connection to
# its broker, and nothing to send. There must be none between the periodic tasks, which come every
# 30 s (DESIGN 6). Needs strace; prints a table, and fails when a runtime made any.
#
#   tests/scripts/idle.sh [SECONDS]        (default 27; more than 28 would meet the periodic tasks)
#
# PROFILE=dev takes programs that are not optimised (default: release).
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-27}
profile=${PROFILE:-release}
work=$(mktemp -d "${TMPDIR:-/tmp}/rocketmq-idle.XXXXXX")
started=()

main() {
    trap finish EXIT
    trap 'exit 130' INT TERM
    command -v strace >/dev/null || { echo "idle: strace is not installed" >&2; exit 125; }
    build
    start_server
    local runtime failed=
    printf '%-10s %s\n' runtime "system calls within $seconds s"
    for runtime in tokio async-std smol threads; do
        watch "$runtime" || failed=yes
    done
    [ -z "$failed" ]
}

# All into $work, one program for each runtime: two of them are built from one example.
build() {
    local folder build=(cargo build --quiet --locked --profile "$profile")
    folder=$(cargo metadata --locked --no-deps --format-version 1 |
        grep -o '"target_directory":"[^"]*"' | cut -d '"' -f 4)/${profile/#dev/debug}/examples
    "${build[@]}" -p rocketmq-testkit --example serve
    "${build[@]}" -p rocketmq-tokio --example produce
    "${build[@]}" -p rocketmq-blocking --example blocking-produce
    "${build[@]}" -p rocketmq-async-std --example async-std-produce
    cp "$folder/serve" "$work/serve"
    cp "$folder/produce" "$work/tokio"
    cp "$folder/blocking-produce" "$work/threads"
    cp "$folder/async-std-produce" "$work/async-std"
    "${build[@]}" -p rocketmq-async-std --no-default-features --features smol --example async-std-produce
    cp "$folder/async-std-produce" "$work/smol"
}

start_server() {
    "$work/serve" --port 0 --topic idle:4 --for 600 </dev/null >"$work/serve.log" &
    started+=($!)
    wait_for "$work/serve.log" ':[0-9]+'
    namesrv=$(grep -oE '[0-9.]+:[0-9]+' "$work/serve.log" | head -n 1)
}

# watch RUNTIME: one line is sent, so that route and connection are there; then none comes any more.
watch() {
    local runtime=$1 program tracer from calls
    mkfifo "$work/$runtime.in"
    "$work/$runtime" --namesrv "$namesrv" --topic idle <"$work/$runtime.in" >"$work/$runtime.out" 2>&1 &
    program=$!
    started+=("$program")
    exec 3>"$work/$runtime.in"
    # More than one: on threads, callers then move the bytes themselves, and give that back.
    seq 20 >&3
    wait_for "$work/$runtime.out" SEND_OK || return 1
    strace -f -ttt -o "$work/$runtime.trace" -p "$program" 2>"$work/strace.log" &
    tracer=$!
    # Attaching interrupts what every thread waits in; that is over by then.
    sleep 1
    from=$(date +%s.%N)
    sleep "$seconds"
    kill -INT "$tracer"
    wait "$tracer" || true
    exec 3>&-
    wait "$program" || { echo "idle: $runtime failed:" >&2; cat "$work/$runtime.out" >&2; return 1; }
    [ -s "$work/$runtime.trace" ] || { echo "idle: nothing was traced:" >&2; cat "$work/strace.log" >&2; return 1; }
    # A call that began before and ends by detaching is none of these.
    calls=$(awk -v from="$from" '$2 >= from && !/detached|resumed/' "$work/$runtime.trace")
    printf '%-10s %s\n' "$runtime" "$(grep -c . <<<"$calls" || true)"
    if [ -n "$calls" ]; then
        head -n 20 <<<"$calls" >&2
        return 1
    fi
}

# wait_for FILE PATTERN
wait_for() {
    for _ in $(seq 100); do
        if grep -qE "$2" "$1" 2>/dev/null; then
            return
        fi
        sleep 0.1
    done
    echo "idle: no $2 within 10 s:" >&2
    cat "$1" >&2
    return 1
}

# Ends exactly what was started here.
finish() {
    local pid
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}

main "$@"
