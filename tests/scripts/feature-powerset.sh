#!/usr/bin/env bash
# Checks each crate alone with every set of at most two of its features: a feature must neither need
# another one that it does not name, nor leave a warning where it is off. `zstd` needs a C compiler.
#
#   tests/scripts/feature-powerset.sh [PACKAGE...]
set -euo pipefail
cd "$(dirname "$0")/../.."
failed=()

main() {
    local manifest package features checked=0
    for manifest in */Cargo.toml; do
        package=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$manifest" | head -n 1)
        if [ $# -gt 0 ] && [[ " $* " != *" $package "* ]]; then
            continue
        fi
        mapfile -t features < <(features_of "$manifest")
        check_sets "$package" "${features[@]}"
        checked=$((checked + 1))
    done
    if [ $# -gt 0 ] && [ $# -ne $checked ]; then
        echo "feature-powerset: only $checked of $* are packages" >&2
        exit 1
    fi
    if [ ${#failed[@]} -gt 0 ]; then
        printf 'feature-powerset: does not hold: %s\n' "${failed[@]}" >&2
        exit 1
    fi
}

# check_sets PACKAGE FEATURE...
check_sets() {
    local package=$1 first second
    shift
    check "$package" ""
    while [ $# -gt 0 ]; do
        first=$1
        shift
        check "$package" "$first"
        for second in "$@"; do
            check "$package" "$first,$second"
        done
    done
}

check() {
    echo "$1 with [$2]"
    cargo clippy --quiet --locked -p "$1" --no-default-features --features "$2" -- -D warnings ||
        failed+=("$1 with [$2]")
}

# The features of a manifest, without `default`, which is a set of the others.
features_of() {
    awk '/^\[/ { inside = $0 == "[features]" }
        inside && /^[a-z0-9_-]+ = / && $1 != "default" { print $1 }' "$1"
}

main "$@"
