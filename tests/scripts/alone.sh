#!/usr/bin/env bash
# A clone stands alone: nothing in the tree points outside of it or at the machine it was made on.
#
#   tests/scripts/alone.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
failed=

main() {
    must_not_occur 'a folder outside of the checkout' '\.\./shared'
    must_not_occur 'a path of one machine' '(^|[^[:alnum:]_.$}>-])/(root|home|Users|work|mnt)/'
    must_not_occur 'a package registry' '(registry|sparse|git)\+https?:|index\.crates\.io|static\.crates\.io|crates\.io-index|^\[(source|registries)[.\]]'
    locks_name_crates_io_only
    links_lead_somewhere
    [ -z "$failed" ]
    echo "stands alone"
}

# must_not_occur WHAT PATTERN
must_not_occur() {
    local found
    found=$(files | grep -zvE '^((.*/)?Cargo\.lock|tests/scripts/alone\.sh)$' | xargs -0 grep -nIE -- "$2" /dev/null || true)
    if [ -n "$found" ]; then
        refuse "$1 is named in:" "$found"
    fi
}

locks_name_crates_io_only() {
    local found
    found=$(files | grep -zE '^(.*/)?Cargo\.lock$' | xargs -0 grep -nE '^source = ' /dev/null |
        grep -vF '"registry+https://github.com/rust-lang/crates.io-index"' || true)
    if [ -n "$found" ]; then
        refuse "a source that is not crates.io is named in:" "$found"
    fi
}

# Relative links of the Markdown files, without their anchors.
links_lead_somewhere() {
    local file target
    while read -r -d '' file; do
        while read -r target; do
            if [ -n "$target" ] && [ ! -e "$(dirname "$file")/$target" ]; then
                refuse "$file links to $target, which is not there"
            fi
        done < <(grep -oE '\]\([^)[:space:]]+\)' "$file" | sed -E 's/^\]\(//; s/\)$//; s/#.*//' | grep -vE '^[a-z]+:' || true)
    done < <(files | grep -zE '\.md$')
}

# What a clone has, each name ended by a zero byte.
files() {
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files -z
    else
        find . -type f -not -path '*/target/*' -printf '%P\0'
    fi
}

# refuse WHY [LIST]
refuse() {
    local line
    failed=yes
    echo "alone: $1" >&2
    shift
    while [ $# -gt 0 ] && read -r line; do
        echo "    ${line:0:200}" >&2
    done <<<"${1:-}"
}

main
