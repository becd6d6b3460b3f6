# Sourced by the start scripts: what every peer needs from its beginning to its end.
#
# A start script is called as `start CLASS [PORT]`, where CLASS is memory, second or disk. It installs what is missing, puts configuration and data into a
# temporary directory, starts the peer on loopback, prints one line on stdout
#
#   ready url=ws://127.0.0.1:PORT/path pids=1,2,3 class=CLASS
#
# once it answers, and stays. At SIGTERM or SIGINT, or when one of its processes ends, it ends all of them and removes the
# directory. Whatever the peer itself says is on stderr. Affinity is inherited: `taskset -c 0 start memory` pins all of it.

set -euo pipefail

peer=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
repository=$(cd "$peer/../../.." && pwd)
class=${1:-}
place=$(mktemp -d)
pids=()
# An input on which nothing ever comes: some programs end with their input.
mkfifo "$place/nothing"
exec 9<>"$place/nothing"

end() {
    trap - EXIT INT TERM
    if [ ${#pids[@]} -gt 0 ]; then
        kill "${pids[@]}" 2>/dev/null || true
        wait "${pids[@]}" 2>/dev/null || true
    fi
    rm -rf "$place"
}
trap end EXIT
trap 'exit 0' INT TERM

fail() {
    echo "$(basename "$peer"): $*" >&2
    exit 2
}

# need BINARY PACKAGE: installs the Debian package if the program is not there, without starting its service.
need() {
    command -v "$1" >/dev/null && return
    local policy=/usr/sbin/policy-rc.d
    local mine=no
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        mine=yes
    fi
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2"; } >&2 || true
    [ "$mine" = no ] || rm -f "$policy"
    command -v "$1" >/dev/null || fail "$1 is not here, and the package $2 cannot be installed"
}

answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Below the range from which the kernel takes ports for connections.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)) && answers "$port"; do :; done
    echo "$port"
}

# begin COMMAND...: starts it in the background; it ends with this script.
begin() {
    "$@" <&9 >&2 &
    pids+=($!)
}

# await PORT: until something listens there, or one of the processes has ended.
await() {
    local tries
    for tries in $(seq 600); do
        answers "$1" && return
        alive
        sleep 0.05
    done
    fail "nothing answers on port $1"
}

alive() {
    local pid
    for pid in "${pids[@]}"; do
        kill -0 "$pid" 2>/dev/null || fail "a process has ended"
    done
}

# ready URL: says so and stays until told to end.
ready() {
    local IFS=,
    echo "ready url=$1 pids=${pids[*]} class=$class"
    wait -n "${pids[@]}" || true
    fail "a process has ended"
}
