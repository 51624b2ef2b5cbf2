#!/usr/bin/env bash
# Measures producers from end to end against a server that answers at once and stores nothing: the floor
# (ready-made frames, no state), ours on every runtime, and the peer, rocketmq-client-rust 1.0.0. They
# run in turns, round by round, so that whatever else the machine does meets all of them alike. Prints
# medians as a table; then how long a start takes, what memory is held, and the codecs beside each other.
# Writes tests/bench/results.tsv, tests/bench/codec.tsv and, drawn from them, docs/performance.svg.
#
#   tests/scripts/bench.sh [--rounds N] [--quick] [--only PATTERN] [--no-peer] [--soak MILLIONS]
#
# --rounds N       default 5, some 10 minutes on two cores
# --quick          one round of a quarter of the messages; nothing is written
# --only PATTERN   only modes that match this regular expression; nothing else is measured or written
# --no-peer        leave the peer out, which has some 280 crates to compile; nothing is written then
# --soak MILLIONS  messages of the soak, default 2
set -euo pipefail
usage=$(sed -n '2,/^set/s/^# \{0,1\}//p' "$0")
cd "$(dirname "$0")/../bench"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

# mode | brokers | count | who | arguments
# The floor sends four times as many, so that it takes long enough to be measured, and the peer a fifth.
# 65 000 under way are more than the peer admits.
MODES='
one             | 1  | 40000   | floor tokio async-std smol threads peer | --mode sync --width 1
tasks-16        | 1  | 200000  | floor tokio async-std smol threads peer | --mode sync --width 16
tasks-256       | 1  | 300000  | floor tokio async-std smol threads peer | --mode sync --width 256
tasks-4096      | 1  | 300000  | floor tokio async-std smol peer         | --mode sync --width 4096
enqueue-1000    | 1  | 400000  | floor tokio async-std smol threads peer | --mode enqueue --width 1000
enqueue-65000   | 1  | 400000  | tokio async-std smol threads            | --mode enqueue --width 65000
oneway          | 1  | 400000  | floor tokio async-std smol threads peer | --mode oneway --width 256
batch-32        | 1  | 1000000 | floor tokio async-std smol threads peer | --mode batch --width 32
auto-batch      | 1  | 300000  | tokio peer                              | --mode sync --width 4096 --auto-batch
128-B           | 1  | 300000  | floor tokio peer                        | --mode sync --width 256 --size 128
64-KiB          | 1  | 20000   | floor tokio peer                        | --mode sync --width 256 --size 65536
64-KiB-zlib     | 1  | 1000    | tokio peer                              | --mode sync --width 16 --size 65536 --compress
binary-one      | 1  | 40000   | floor tokio                             | --mode sync --width 1 --headers binary
binary-256      | 1  | 300000  | floor tokio                             | --mode sync --width 256 --headers binary
tls-one         | 1  | 40000   | tokio threads peer                      | --mode sync --width 1 --roots ROOTS
tls-256         | 1  | 200000  | tokio threads peer                      | --mode sync --width 256 --roots ROOTS
brokers-8       | 8  | 300000  | tokio peer                              | --mode sync --width 256
brokers-64      | 64 | 300000  | tokio peer                              | --mode sync --width 256
topics-1000     | 1  | 300000  | tokio peer                              | --mode sync --width 256 --topics 1000
threads-2       | 1  | 300000  | tokio async-std                         | --mode sync --width 256 --threads 2
'
rounds=5
share=1
only=.
peer=yes
write=yes
failed=
soak=2
work=$(mktemp -d "${TMPDIR:-/tmp}/rocketmq-bench.XXXXXX")
started=()
declare -A server

main() {
    trap finish EXIT
    trap 'exit 130' INT TERM
    while (($#)); do
        case $1 in
        --rounds) rounds=$2 && shift 2 ;;
        --quick) rounds=1 share=4 write= && shift ;;
        --only) only=$2 && shift 2 ;;
        --no-peer) peer= write= && shift ;;
        --soak) soak=$2 && shift 2 ;;
        *) echo "$usage" >&2 && exit 2 ;;
        esac
    done
    build
    local brokers round
    for brokers in 1 8 64; do
        start_server "$brokers" --brokers "$brokers" --tls "$work/roots-$brokers.pem"
    done
    for ((round = 1; round <= rounds; round++)); do
        [ ! -t 2 ] || echo "round $round of $rounds" >&2
        run_all
    done
    [ -e "$work/lines" ] || { echo "bench: no mode matches $only" >&2 && exit 2; }
    medians >"$work/results.tsv"
    table <"$work/results.tsv"
    if [[ $only == . ]]; then
        rest
    fi
    [ -z "$failed" ] || echo "bench: some runs failed; nothing is written" >&2
    [ -z "$failed" ]
}

# What is not measured in rounds; and everything is written down.
rest() {
    echo
    start_server hold --hold
    "$work/start" --namesrv "${server[1]}"
    "$work/large" --namesrv "${server[8]}"
    "$work/memory" --namesrv "${server[hold]}" in-flight
    "$work/memory" --namesrv "${server[1]}" soak --count "$((soak * 1000000))"
    if [ -n "$peer" ]; then
        echo
        "$work/codec" | tee "$work/codec.tsv"
    fi
    if [ -n "$write" ] && [ -z "$failed" ]; then
        cp "$work/codec.tsv" "$work/results.tsv" .
        "$work/chart"
    fi
}

# All into $work; two of them are built from one program.
build() {
    local build=(cargo build --quiet --locked --release -p rocketmq-load) made=$CARGO_TARGET_DIR/release
    "${build[@]}" --bins
    cp "$made"/{server,floor,ours-tokio,ours-threads,ours-async-std,start,large,memory,chart} "$work"
    "${build[@]}" --no-default-features --features tls --bin ours-async-std
    cp "$made/ours-async-std" "$work/ours-smol"
    if [ -n "$peer" ]; then
        cargo build --quiet --locked --release --manifest-path peer/Cargo.toml
        cp "$made"/{peer,codec} "$work"
    fi
}

# start_server NAME ARGUMENTS..
start_server() {
    local name=$1
    shift
    : >"$work/server-$name"
    "$work/server" "$@" >"$work/server-$name" &
    started+=($!)
    for _ in $(seq 100); do
        if read -r "server[$name]" <"$work/server-$name"; then
            return
        fi
        sleep 0.1
    done
    echo "bench: the server does not start" >&2
    return 1
}

# One round: everyone in every mode.
run_all() {
    local mode brokers count who one arguments
    while IFS='|' read -r mode brokers count who arguments; do
        read -r mode <<<"$mode"
        if ! [[ $mode =~ $only ]]; then
            continue
        fi
        for one in $who; do
            run "$mode" "$one" "${brokers// /}" "$count" "$arguments" </dev/null
        done
    done < <(grep '|' <<<"$MODES")
}

# run MODE WHO BROKERS COUNT ARGUMENTS: one line in $work/lines.
run() {
    local mode=$1 who=$2 brokers=$3 count=$(($4 / share)) arguments program=ours-$2
    read -ra arguments <<<"${5/ROOTS/$work/roots-$3.pem}"
    case $who in
    floor) program=floor count=$((count * 4)) arguments=("${arguments[@]/enqueue/sync}") ;;
    peer) [ -n "$peer" ] || return 0 && program=peer count=$((count / 5)) ;;
    *) arguments+=(--details) ;;
    esac
    [[ " ${arguments[*]} " == *' --size '* ]] || arguments+=(--size 1024)
    # Messages that the peer fails with are in the table; without a line it has not run.
    if ! "$work/$program" --namesrv "${server[$brokers]}" --count "$count" "${arguments[@]}" >"$work/line" &&
        { [ "$who" != peer ] || [ ! -s "$work/line" ]; }; then
        failed=yes
        echo "bench: $who in mode $mode failed: $(cat "$work/line")" >&2
    fi
    # Names and units go; the values stay.
    sed -E "s/[a-z0-9]+=//g; s,(us/msg|us|/msg|KiB|/s|s)( |\$), \\2,g; s/^/$mode $who /" "$work/line" >>"$work/lines"
}

# Columns of $work/lines: name who mode count size width wall rate cpu p50 p99 failed p999 peak switches.
medians() {
    printf '# mode\twho\trate\tcpu_us\tp50_us\tp99_us\tp999_us\tpeak_kib\tswitches\tfailed\n'
    awk '
        BEGIN { columns = split("8 9 10 11 13 14 15 12", shown, " ") }
        {
            name = $1 "\t" $2
            if (!(name in runs)) { names[++known] = name }
            run = ++runs[name]
            for (i = 1; i <= columns; i++) { value[name, shown[i], run] = $shown[i] }
        }
        function median(name, column,    i, j, n, v, sorted) {
            n = runs[name]
            for (i = 1; i <= n; i++) {
                v = value[name, column, i] + 0
                for (j = i; j > 1 && sorted[j - 1] > v; j--) { sorted[j] = sorted[j - 1] }
                sorted[j] = v
            }
            return sorted[int((n + 1) / 2)]
        }
        END {
            for (i = 1; i <= known; i++) {
                line = names[i]
                for (k = 1; k <= columns; k++) { line = line "\t" median(names[i], shown[k]) }
                print line
            }
        }' "$work/lines"
}

# From the medians: who in each mode, beside the floor and the peer of that mode.
table() {
    awk -F'\t' -v rounds="$rounds" '
        /^#/ { next }
        { line[++lines] = $0; cpu[$1, $2] = $4 }
        function times(a, b) { return a > 0 && b > 0 ? sprintf("%.2f", a / b) : "-" }
        END {
            head = "%-14s %-10s %10s %9s %9s %9s %10s %10s %10s %9s %9s %7s\n"
            printf head, "mode", "who", "messages/s", "cpu us", "x floor", "peer x", "p50 us", "p99 us", "p99.9 us", "peak KiB", "switches", "failed"
            for (i = 1; i <= lines; i++) {
                split(line[i], f, "\t")
                if (i > 1 && f[1] != before) { print "" }
                before = f[1]
                floor = f[2] == "floor" ? "" : times(f[4], cpu[f[1], "floor"])
                peer = f[2] == "peer" ? "" : times(cpu[f[1], "peer"], f[4])
                printf head, f[1], f[2], f[3], f[4], floor, peer, f[5], f[6], f[7], f[8], f[9], f[10]
            }
            print "\nmedians of " rounds " rounds; cpu, switches: for each message, of the client; times: for each call"
        }'
}

# Ends exactly what was started here.
finish() {
    if ((${#started[@]})); then
        kill "${started[@]}" 2>/dev/null || true
    fi
    rm -rf "$work"
}

main "$@"
