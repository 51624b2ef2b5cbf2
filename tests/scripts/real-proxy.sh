#!/usr/bin/env bash
# Runs a command beside a SOCKS5 proxy that others wrote: microsocks, of Debian's package of that name.
# It listens on a free port of 127.0.0.1 and asks for a user and a password; the command finds them in
# ROCKETMQ_SOCKS (host:port), ROCKETMQ_SOCKS_USER and ROCKETMQ_SOCKS_PASSWORD.
#
#   tests/scripts/real-proxy.sh cargo test -p rocketmq-tokio --test suite real_proxy -- --nocapture
#
# Without microsocks it says so, and the command runs without a proxy.
set -euo pipefail
readonly tries=20
proxy=

main() {
    if [ $# -eq 0 ]; then
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
        exit 2
    fi
    if ! command -v microsocks >/dev/null; then
        echo "real-proxy: microsocks is not installed (apt-get install microsocks): no proxy" >&2
        exec "$@"
    fi
    trap stop EXIT
    start
    export ROCKETMQ_SOCKS="127.0.0.1:$port" ROCKETMQ_SOCKS_USER=$user ROCKETMQ_SOCKS_PASSWORD=$password
    "$@"
}

# Takes ports until one is free: microsocks ends at once when it is not.
start() {
    user=producer password=secret-$$
    for ((try = 0; try < tries; try++)); do
        port=$((20000 + RANDOM % 12000))
        microsocks -i 127.0.0.1 -p "$port" -u "$user" -P "$password" 2>/dev/null &
        proxy=$!
        if listens; then
            return
        fi
        stop
    done
    echo "real-proxy: no free port in $tries tries" >&2
    exit 1
}

# True when our own proxy listens.
listens() {
    local waited
    for ((waited = 0; waited < 50; waited++)); do
        kill -0 "$proxy" 2>/dev/null || return 1
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            # Somebody else's, if ours could not take the port and is about to say so.
            sleep 0.1
            kill -0 "$proxy" 2>/dev/null
            return
        fi
        sleep 0.1
    done
    return 1
}

stop() {
    if [ -n "$proxy" ]; then
        kill "$proxy" 2>/dev/null || true
        wait "$proxy" 2>/dev/null || true
    fi
}

main "$@"
