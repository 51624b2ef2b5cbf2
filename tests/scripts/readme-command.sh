#!/usr/bin/env bash
# Prints a command of README.md: the lines of the code block that follows <!-- command: NAME -->.
# So what is checked is literally what the README tells.
#
#   tests/scripts/readme-command.sh quickstart|test
set -euo pipefail
readme=$(dirname "$0")/../../README.md
name=${1:?name of a command}

command=$(awk -v marker="<!-- command: $name -->" '
    $0 == marker { wanted = 1; next }
    wanted && /^```/ { if (inside) exit; inside = 1; next }
    inside { print }
' "$readme")
if [ -z "$command" ]; then
    echo "README.md has no code block after <!-- command: $name -->" >&2
    exit 1
fi
printf '%s\n' "$command"
