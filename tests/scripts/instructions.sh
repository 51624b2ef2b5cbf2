#!/usr/bin/env bash
# Counts the instructions of hot paths under callgrind and compares them with the committed table.
# Needs valgrind, and installs it where it is root on a Debian.
#
#   tests/scripts/instructions.sh            prints the table and the difference; fails beyond 3 %
#   tests/scripts/instructions.sh --write    writes tests/bench/instructions.tsv
#
# Each item runs twice with different counts; what happens once (start, routes, the first messages in
# flight) falls out of the difference. What an item needs around itself is measured as an item of its
# own and taken off.
set -euo pipefail
cd "$(dirname "$0")/.."

TABLE=bench/instructions.tsv
TOLERANCE=3
TARGET=${CARGO_TARGET_DIR:-$PWD/bench/target}

main() {
    has_valgrind
    CARGO_TARGET_DIR=$TARGET cargo build --quiet --locked --release --manifest-path bench/Cargo.toml --bin instructions
    new=$(mktemp)
    trap "rm -f '$new'" EXIT
    measure >"$new"
    if [[ ${1:-} == --write ]]; then
        cp "$new" "$TABLE"
        cat "$TABLE"
        return
    fi
    compare "$TABLE" "$new"
}

has_valgrind() {
    command -v valgrind >/dev/null || {
        apt-get update --quiet && apt-get install --yes --quiet valgrind
    } >&2 || {
        echo "instructions: valgrind is not installed, and cannot be: apt-get install valgrind" >&2
        exit 1
    }
}

measure() {
    printf '# instructions\twhat\n'
    row "encode a send, V2, JSON header, beside copying its strings" encode-json encode-beside
    row "encode a send, V2, binary header, beside copying its strings" encode-binary encode-beside
    row "encode its head as a producer does, most of it kept, JSON, beside copying its strings" kept-json encode-beside
    row "encode its head as a producer does, most of it kept, binary, beside copying its strings" kept-binary encode-beside
    row "decode its answer, JSON header" decode-json
    row "decode its answer, binary header" decode-binary
    row "a batch of 32 messages of 1 KiB: make, check, stamp, encode" batch-of-32
    row "make, check and stamp a message" prepare
    local load
    for load in json-1 json-1000 json-65000 json-1000-1000 binary-1 binary-1000 binary-65000 binary-1000-1000; do
        row "engine, submit to complete, $load (headers-in flight[-topics])" "send-$load" "send-$load-beside"
    done
}

# row NAME ITEM [BESIDE]
row() {
    local count beside=0
    count=$(each "$2")
    if [[ -n ${3:-} ]]; then
        beside=$(each "$3")
    fi
    printf '%s\t%s\n' $((count - beside)) "$1"
}

each() {
    local many few
    many=$(run "$1" 3000) && few=$(run "$1" 1000) && echo $(((many - few) / 2000))
}

run() {
    local said
    said=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$TARGET/release/instructions" "$1" "$2" 2>&1) || {
        printf 'instructions: %s fails:\n%s\n' "$1" "$said" >&2
        return 1
    }
    awk '/Collected/ { print $4 }' <<<"$said"
}

compare() {
    awk -F'\t' -v tolerance="$TOLERANCE" '
        /^#/ { next }
        NR == FNR { before[$2] = $1; next }
        {
            if (!($2 in before)) { printf "%8d        new  %s\n", $1, $2; failed = 1; next }
            measured[$2]
            change = 100 * ($1 - before[$2]) / before[$2]
            verdict = change > tolerance ? "  DEARER" : change < -tolerance ? "  cheaper: write the table anew" : ""
            printf "%8d %+8.1f %%  %s%s\n", $1, change, $2, verdict
            if (verdict != "") failed = 1
        }
        END {
            for (what in before) {
                if (!(what in measured)) { printf "%8s       gone  %s\n", "", what; failed = 1 }
            }
            exit failed
        }
    ' "$1" "$2"
}

main "$@"
