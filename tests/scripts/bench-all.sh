#!/usr/bin/env bash
# Runs `bench` on every runtime beside the others, alternately, so that whatever else the machine does
# meets all of them alike, and prints the medians of each as one table. The server is the testkit's,
# which answers at once and stores nothing.
#
#   tests/scripts/bench-all.sh [ROUNDS [COUNT]]      (default 5 rounds of 200 000 messages; one at a
#                                                     time and batches: a tenth, and five times as many)
#
# PROFILE=dev takes programs that are not optimised (default: release).
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-5}
count=${2:-200000}
profile=${PROFILE:-release}
runtimes=(tokio async-std smol threads)
# MODE WIDTH COUNT
loads=("sync 1 $((count / 10))" "sync 256 $count" "batch 32 $((count * 5))" "oneway 256 $count")
work=$(mktemp -d "${TMPDIR:-/tmp}/rocketmq-bench.XXXXXX")
server=

main() {
    trap finish EXIT
    trap 'exit 130' INT TERM
    build
    start_server
    local round load runtime
    for load in "${loads[@]}"; do
        for ((round = 1; round <= rounds; round++)); do
            for runtime in "${runtimes[@]}"; do
                run "$runtime" "$load"
            done
        done
    done
    table
}

# All into $work, one program for each runtime: two of them are built from one example.
build() {
    local folder build=(cargo build --quiet --locked --profile "$profile")
    folder=$(cargo metadata --locked --no-deps --format-version 1 |
        grep -o '"target_directory":"[^"]*"' | cut -d '"' -f 4)/${profile/#dev/debug}/examples
    "${build[@]}" -p rocketmq-testkit --example serve
    "${build[@]}" -p rocketmq-tokio --example bench
    "${build[@]}" -p rocketmq-blocking --example blocking-bench
    "${build[@]}" -p rocketmq-async-std --example async-std-bench
    cp "$folder/serve" "$work/serve"
    cp "$folder/bench" "$work/tokio"
    cp "$folder/blocking-bench" "$work/threads"
    cp "$folder/async-std-bench" "$work/async-std"
    "${build[@]}" -p rocketmq-async-std --no-default-features --features smol --example async-std-bench
    cp "$folder/async-std-bench" "$work/smol"
}

start_server() {
    "$work/serve" --port 0 --topic bench:4 --discard </dev/null >"$work/serve.log" &
    server=$!
    for _ in $(seq 100); do
        namesrv=$(grep -oE '[0-9.]+:[0-9]+' "$work/serve.log" | head -n 1) || true
        [ -z "$namesrv" ] || return 0
        sleep 0.1
    done
    echo "bench-all: the server does not start" >&2
    return 1
}

# run RUNTIME "MODE WIDTH COUNT": one line in $work/lines, with the names of the values stripped.
run() {
    local runtime=$1 mode width messages
    read -r mode width messages <<<"$2"
    "$work/$runtime" --namesrv "$namesrv" --mode "$mode" --width "$width" --count "$messages" --size 1024 |
        sed -E "s/[a-z0-9]+=//g; s,(us/msg|us|/s|s)( |\$), \\2,g; s/^/$runtime /" >>"$work/lines"
}

# Columns of $work/lines: runtime mode count size width wall rate cpu p50 p99 failed.
table() {
    local load mode width runtime
    printf '%-8s %6s  %-10s %12s %12s %10s %10s %7s\n' mode width runtime messages/s 'cpu us/msg' 'p50 us' 'p99 us' failed
    for load in "${loads[@]}"; do
        read -r mode width _ <<<"$load"
        for runtime in "${runtimes[@]}"; do
            printf '%-8s %6s  %-10s %12s %12s %10s %10s %7s\n' "$mode" "$width" "$runtime" \
                "$(median "$runtime" "$mode" "$width" 7)" "$(median "$runtime" "$mode" "$width" 8)" \
                "$(median "$runtime" "$mode" "$width" 9)" "$(median "$runtime" "$mode" "$width" 10)" \
                "$(median "$runtime" "$mode" "$width" 11)"
        done
    done
    echo "medians of $rounds rounds; p50 and p99 are of calls, everything else is for each message"
}

# median RUNTIME MODE WIDTH COLUMN
median() {
    awk -v r="$1" -v m="$2" -v w="$3" -v c="$4" '$1 == r && $2 == m && $5 == w { print $c }' "$work/lines" |
        sort -g | awk '{ values[NR] = $1 } END { print values[int((NR + 1) / 2)] }'
}

# Ends exactly what was started here.
finish() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}

main "$@"
