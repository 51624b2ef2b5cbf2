#!/usr/bin/env bash
# Runs a command beside real RocketMQ servers: one name server and two brokers, on loopback.
#
#   tests/scripts/real-servers.sh [--keep-logs DIR] [--] COMMAND [ARGUMENT...]
#
# It installs rocketmq-namesrv and rocketmq-broker 1.0.0 from source when they are not there (about
# 15 minutes on two cores, once), starts them on free ports with their data in a temporary folder,
# waits until both brokers are in the route, runs COMMAND, and stops exactly what it started, also
# after an error or Ctrl-C. Its exit code is that of COMMAND; 125 when the servers could not be had.
#
# --keep-logs DIR   copies the servers' logs into DIR at the end
#
# Environment read:
#   ROCKETMQ_SERVERS   where the servers are kept (default: $XDG_CACHE_HOME/rocketmq-servers,
#                      or ~/.cache/rocketmq-servers); the binaries are in 1.0.0/bin below it
#
# Environment given to COMMAND:
#   ROCKETMQ_NAMESRV            host:port of the name server
#   ROCKETMQ_TEST_CLUSTER_DIR   a folder that lets a test kill a broker and start it again:
#     NAME.pid     process id of the server that runs now; NAME is broker-a, broker-b or namesrv
#     NAME.addr    host:port on which it listens, the same after each start
#     NAME.start   starts the server again over the same store and rewrites NAME.pid. It first
#                  waits (up to 10 s) until the old process is gone, and returns as soon as the new
#                  one is running: it is in the route some seconds later
#     NAME.log     what the server printed, over all its starts
#
# Linux only: whether a process is ours is read from /proc.
#
# shellcheck disable=SC2317 # functions are reached through traps and a child shell
set -euo pipefail

version=1.0.0
servers=${ROCKETMQ_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/rocketmq-servers}
bin=$servers/$version/bin
names=(namesrv broker-a broker-b)
cluster=
command_pid=
keep_logs=

main() {
    while [ $# -gt 0 ]; do
        case $1 in
            --keep-logs) keep_logs=${2:?--keep-logs needs a folder}; shift 2 ;;
            --) shift; break ;;
            -*) fail "unknown option $1" ;;
            *) break ;;
        esac
    done
    [ $# -gt 0 ] || fail "no command given"

    install_servers
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    start_cluster
    run_command "$@"
}

# ---- servers on disk ------------------------------------------------------------------------------

install_servers() {
    if installed; then
        return
    fi
    mkdir -p "$servers"
    # Two runs at once must not build twice; without flock the second one waits on cargo's own lock.
    exec 9>"$servers/install.lock"
    if command -v flock >/dev/null; then
        flock 9
    fi
    if ! installed; then
        note "installing the RocketMQ servers $version into $servers (once, about 15 minutes)"
        # Both crates share one target folder, so what they have in common is built once.
        CARGO_TARGET_DIR=$servers/build cargo install --locked --root "$servers/$version" \
            "rocketmq-namesrv@$version" "rocketmq-broker@$version" >&2 || fail "cargo install failed"
        rm -rf "$servers/build"
    fi
    exec 9>&-
}

installed() {
    [ -x "$bin/rocketmq-namesrv-rust" ] && [ -x "$bin/rocketmq-broker-rust" ]
}

# ---- the cluster ----------------------------------------------------------------------------------

# A port that was free when we looked may be taken when the server binds it: then try others.
start_cluster() {
    local name
    for _ in 1 2 3; do
        cluster=$(mktemp -d "${TMPDIR:-/tmp}/rocketmq-cluster.XXXXXX")
        touch "$cluster/started"
        write_cluster
        for name in "${names[@]}"; do
            start_server "$name"
        done
        if brokers_in_route; then
            note "name server $namesrv, brokers $(cat "$cluster/broker-a.addr") and $(cat "$cluster/broker-b.addr")"
            return
        fi
        show_logs
        stop_servers
        save_logs
        rm -rf "$cluster"
        cluster=
    done
    fail "the servers did not come up; their last words are above"
}

write_cluster() {
    local name port
    port=$(free_ports 1)
    namesrv=127.0.0.1:$port
    echo "$namesrv" >"$cluster/namesrv.addr"
    write_start_script namesrv "$bin/rocketmq-namesrv-rust" --listenPort "$port" --bindAddress 127.0.0.1

    for name in broker-a broker-b; do
        # A broker listens on three ports: listenPort, listenPort - 2 and haListenPort.
        port=$(free_ports 4)
        echo "127.0.0.1:$((port + 2))" >"$cluster/$name.addr"
        cat >"$cluster/$name.properties" <<PROPERTIES
brokerClusterName=DefaultCluster
brokerName=$name
brokerId=0
brokerIP1=127.0.0.1
listenPort=$((port + 2))
haListenPort=$((port + 3))
namesrvAddr=$namesrv
storePathRootDir=$cluster/$name/store
storePathCommitLog=$cluster/$name/store/commitlog
autoCreateTopicEnable=true
mappedFileSizeCommitLog=67108864
PROPERTIES
        write_start_script "$name" "$bin/rocketmq-broker-rust" -c "$cluster/$name.properties"
    done
}

# write_start_script NAME COMMAND...: writes NAME.start of the header: start_server, and what it needs.
write_start_script() {
    local name=$1
    shift
    mkdir "$cluster/$name"
    printf '%q ' "$@" >"$cluster/$name.command"
    cat >"$cluster/$name.start" <<START
#!/usr/bin/env bash
set -eu
$(declare -p cluster)
$(declare -f start_server runs_here)
start_server $name
START
    chmod +x "$cluster/$name.start"
}

# start_server NAME: HOME points into the cluster's folder as well, for what the servers would
# otherwise put under the user's; ROCKETMQ_SERVER_OF marks the process as one of ours. It gets a
# process group of its own, since Ctrl-C is for the command: the servers outlive that.
start_server() {
    local name=$1 old
    old=$(cat "$cluster/$name.pid" 2>/dev/null || true)
    for _ in $(seq 100); do
        runs_here "$old" || break
        sleep 0.1
    done
    if runs_here "$old"; then
        echo "$name still runs as process $old" >&2
        return 1
    fi
    set -m
    (
        cd "$cluster/$name"
        export HOME=$PWD ROCKETMQ_HOME=$PWD ROCKETMQ_SERVER_OF=$cluster
        eval "exec $(cat "$cluster/$name.command")"
    ) </dev/null >>"$cluster/$name.log" 2>&1 &
    echo $! >>"$cluster/started"
    echo $! >"$cluster/$name.pid.new"
    mv "$cluster/$name.pid.new" "$cluster/$name.pid"
    disown $!
    set +m
    # Until it is the server, not the shell that becomes it.
    until runs_here $! || ! kill -0 $! 2>/dev/null; do
        sleep 0.01
    done
}

# free_ports COUNT: the first of COUNT neighbouring ports on which nothing listens and that were not
# handed out before. They lie below the range from which the system takes the ports of outgoing
# connections, so that none of those can sit on a killed broker's port when it comes back.
free_ports() {
    local count=$1 first port busy
    for _ in $(seq 200); do
        first=$((15000 + (RANDOM * 32768 + RANDOM) % 17000))
        busy=
        for ((port = first; port < first + count; port++)); do
            if grep -qx "$port" "$cluster/ports" 2>/dev/null || port_answers "$port"; then
                busy=yes
            fi
        done
        if [ -z "$busy" ]; then
            seq "$first" $((first + count - 1)) >>"$cluster/ports"
            echo "$first"
            return
        fi
    done
    fail "found no $count free neighbouring ports"
}

port_answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# ---- waiting for the route ------------------------------------------------------------------------

# The brokers announce the topic TBW102, from which new topics are made; its route holds both of
# them as soon as a producer can use both.
brokers_in_route() {
    local route name
    for _ in $(seq 300); do
        for name in "${names[@]}"; do
            if ! runs_here "$(cat "$cluster/$name.pid")"; then
                note "$name ended while starting"
                return 1
            fi
        done
        route=$(timeout 2 bash -c "$(declare -f ask_route byte); ask_route $namesrv TBW102" 2>/dev/null | tr -d '\0') || true
        if [[ $route == *'"broker-a"'* && $route == *'"broker-b"'* ]]; then
            return
        fi
        sleep 0.2
    done
    note "after 60 s the route of TBW102 is: ${route:-no answer}"
    return 1
}

# ask_route HOST:PORT TOPIC: prints the frame that answers GET_ROUTEINFO_BY_TOPIC (PROTOCOL A.1, A.2,
# B.1). The servers drop a JSON header without language, version or serializeTypeCurrentRPC (L 15).
ask_route() {
    local header length i
    header='{"code":105,"extFields":{"topic":"'$2'"},"flag":0,"language":"JAVA","opaque":1,"serializeTypeCurrentRPC":"JSON","version":409}'
    exec 3<>"/dev/tcp/${1%:*}/${1##*:}"
    {
        for length in $((${#header} + 4)) ${#header}; do
            for i in 24 16 8 0; do
                byte $((length >> i & 255))
            done
        done
        printf %s "$header"
    } >&3
    length=0
    for i in $(head -c 4 <&3 | od -An -tu1); do
        length=$((length * 256 + i))
    done
    head -c "$length" <&3
}

byte() {
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\x$(printf %02x "$1")"
}

# ---- the command ----------------------------------------------------------------------------------

# In the background, so that a signal to this script is acted on at once; in a process group of its
# own, so that all of it can be stopped.
run_command() {
    export ROCKETMQ_NAMESRV=$namesrv ROCKETMQ_TEST_CLUSTER_DIR=$cluster
    set -m
    "$@" <&0 &
    command_pid=$!
    set +m
    local status=0
    wait "$command_pid" || status=$?
    command_pid=
    exit "$status"
}

# ---- the end --------------------------------------------------------------------------------------

finish() {
    local status=$?
    trap '' INT TERM HUP
    if [ -n "$command_pid" ]; then
        stop_command
    fi
    if [ -n "$cluster" ]; then
        stop_servers
        save_logs
        rm -rf "$cluster"
    fi
    exit "$status"
}

stop_command() {
    kill -TERM -- "-$command_pid" 2>/dev/null || return 0
    for _ in $(seq 50); do
        kill -0 -- "-$command_pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL -- "-$command_pid" 2>/dev/null || true
}

# Every server that was ever started here, since a test may have started some again.
stop_servers() {
    local pid waits
    while read -r pid; do
        if runs_here "$pid"; then
            kill -TERM "$pid" 2>/dev/null || true
        fi
    done <"$cluster/started"
    while read -r pid; do
        waits=0
        while runs_here "$pid"; do
            waits=$((waits + 1))
            if [ "$waits" = 100 ]; then
                note "process $pid did not end within 10 s of TERM: killed"
                kill -KILL "$pid" 2>/dev/null || true
            fi
            sleep 0.1
        done
    done <"$cluster/started"
}

# Whether a process id is (still) one of this cluster's servers and not a stranger with its number.
runs_here() {
    grep -qzF "ROCKETMQ_SERVER_OF=$cluster" "/proc/$1/environ" 2>/dev/null
}

show_logs() {
    local name
    for name in "${names[@]}"; do
        note "the end of $name.log:"
        tail -n 15 "$cluster/$name.log" >&2 || true
    done
}

save_logs() {
    if [ -n "$keep_logs" ]; then
        mkdir -p "$keep_logs"
        cp "$cluster"/*.log "$cluster"/*.properties "$keep_logs/"
    fi
}

note() {
    echo "real-servers: $*" >&2
}

fail() {
    note "$*"
    exit 125
}

main "$@"
