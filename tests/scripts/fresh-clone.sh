#!/usr/bin/env bash
# Clones the checkout into a temporary folder and runs the README's two commands there, as somebody
# does who has just heard of the project. Only what is committed counts.
#
#   tests/scripts/fresh-clone.sh
set -euo pipefail
checkout=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/rocketmq-clone.XXXXXX")
trap 'rm -rf "$folder"' EXIT

git clone --quiet --no-local "$checkout" "$folder/clone"
cd "$folder/clone"
unset CARGO_TARGET_DIR
for name in quickstart test; do
    command=$(tests/scripts/readme-command.sh "$name")
    echo "=== $command"
    started=$SECONDS
    bash -euo pipefail -c "$command"
    echo "=== took $((SECONDS - started)) s"
done
if [ -n "$(git status --porcelain)" ]; then
    echo "the commands changed the checkout:" >&2
    git status --short >&2
    exit 1
fi
