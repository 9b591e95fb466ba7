#!/bin/sh
# Sees to it that a container engine answers: does nothing when one does; else, as root on Debian, installs docker.io
# when it is missing and starts dockerd. Prints how to stop it. Exit code 0 when an engine answers, 1 otherwise.
#
# The engine that it starts is marked by FLOWSHIP_ENGINE in its environment: `cargo xtask rehearse compose` stops, kills
# and starts such an engine, by this script and with these values, and no other.
#
#   ENGINE_DATA      data folder of the engine that is started [/var/lib/docker]
#   ENGINE_RUN       folder for its pid file, log and exec root [/run/flowship-engine]
#   ENGINE_SECONDS   how long to wait until it answers [60]
#   DOCKER_HOST      where it listens, unix:///PATH [unix:///var/run/docker.sock]
set -eu

data=${ENGINE_DATA:-/var/lib/docker}
run=${ENGINE_RUN:-/run/flowship-engine}
seconds=${ENGINE_SECONDS:-60}
host=${DOCKER_HOST:-unix:///var/run/docker.sock}

say() { echo "start-engine: $*" >&2; }
fail() { say "$*"; exit 1; }

# Any client can ask; the one of the engine's own package is the one that fits.
client() { if [ -x /usr/bin/docker ]; then /usr/bin/docker "$@"; else docker "$@"; fi; }
version() { client --host "$host" version --format '{{.Server.Version}}' 2>/dev/null; }

if found=$(version) && [ -n "$found" ]; then
    say "engine $found answers at $host"
    exit 0
fi
case $host in
unix://*) ;;
*) fail "no engine answers at $host, and only an engine of this machine (DOCKER_HOST=unix:///...) can be started here" ;;
esac
[ "$(id -u)" = 0 ] || fail "no engine answers at $host, and starting one needs root: run this as root, or install one yourself"

if ! command -v dockerd >/dev/null; then
    command -v apt-get >/dev/null || fail "dockerd is missing, and only Debian's docker.io can be installed from here: install an engine yourself"
    say "installing docker.io"
    mkdir -p "$run"
    if ! { apt-get -o DPkg::Lock::Timeout=300 update &&
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends \
            docker.io iptables; } >"$run/install.log" 2>&1; then
        tail -n 20 "$run/install.log" >&2
        fail "docker.io could not be installed; the whole log: $run/install.log"
    fi
    # The package may have started the engine.
    if found=$(version) && [ -n "$found" ]; then
        say "engine $found answers at $host"
        exit 0
    fi
fi

mkdir -p "$data" "$run"
# The session of its own keeps a Ctrl-C in this terminal from ending it. The closed descriptors keep a caller that
# reads this script's output from waiting for it.
FLOWSHIP_ENGINE=$run ENGINE_RUN=$run ENGINE_DATA=$data DOCKER_HOST=$host \
    setsid dockerd --host "$host" --data-root "$data" --exec-root "$run/exec" --pidfile "$run/dockerd.pid" \
    >"$run/dockerd.log" 2>&1 </dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
pid=$!
waited=0
while ! { found=$(version) && [ -n "$found" ]; }; do
    if ! kill -0 "$pid" 2>/dev/null; then
        tail -n 20 "$run/dockerd.log" >&2
        fail "dockerd ended at once; the whole log: $run/dockerd.log"
    fi
    if [ "$waited" -ge $((seconds * 5)) ]; then
        tail -n 20 "$run/dockerd.log" >&2
        kill "$pid"
        fail "dockerd did not answer within $seconds s and was stopped; the whole log: $run/dockerd.log"
    fi
    sleep 0.2
    waited=$((waited + 1))
done
say "engine $found answers at $host (pid $(cat "$run/dockerd.pid"), log $run/dockerd.log, data $data)"
say "to stop it: kill $(cat "$run/dockerd.pid")"
