# shellcheck shell=bash
# Finding, starting and stopping the Docker engine of "make up". Source it after lib.sh.
#
# It answers in two variables: ENGINE_ENDPOINT, as DOCKER_HOST spells it, and ENGINE_PID, the dockerd
# that engine_start started, or empty: an engine that was there before is never stopped.

ENGINE_ENDPOINT=
ENGINE_PID=
SYSTEM_SOCKET=/var/run/docker.sock

# engine_answers ENDPOINT tells whether an engine answers there. Without a docker CLI to ask with, a
# socket that exists counts as an engine: the DockerHost's own conditions will tell the truth.
engine_answers() {
    if have docker; then
        docker --host "$1" version --format '{{.Server.Version}}' >/dev/null 2>&1
    else
        [[ -S ${1#unix://} ]]
    fi
}

# engine_find takes $DOCKER_HOST where it is set, else an engine that runs already. Whether what
# $DOCKER_HOST names answers is not asked: where it does not, the DockerHost says why better.
engine_find() {
    if [[ -n ${DOCKER_HOST:-} ]]; then
        ENGINE_ENDPOINT=$DOCKER_HOST
        return 0
    fi
    local socket
    for socket in "$SYSTEM_SOCKET" "${XDG_RUNTIME_DIR:-/nonexistent}/docker.sock"; do
        [[ -S $socket ]] || continue
        if [[ ! -w $socket ]]; then
            die "the engine's socket $socket is not open to you. Join its group and log in again:
    sudo usermod --append --groups docker $(id -un)
or name another engine: DOCKER_HOST=ssh://user@host make up"
        fi
        if engine_answers "unix://$socket"; then
            ENGINE_ENDPOINT=unix://$socket
            return 0
        fi
    done
    return 1
}

# engine_start STATE_DIR starts the system's engine: through systemd where that runs the machine, else
# as a process of ours whose pid and log are in STATE_DIR.
engine_start() {
    local state=$1
    if ((EUID != 0)); then
        die "no Docker engine runs here, and only root can start one: sudo systemctl start docker
or name another one: DOCKER_HOST=ssh://user@host make up"
    fi
    ENGINE_ENDPOINT=unix://$SYSTEM_SOCKET
    if [[ -d /run/systemd/system ]]; then
        say "starting the Docker engine: systemctl start docker"
        systemctl start docker
    else
        engine_spawn "$state"
    fi
    local waited=0
    until engine_answers "$ENGINE_ENDPOINT"; do
        if [[ -n $ENGINE_PID ]] && ! kill -0 "$ENGINE_PID" 2>/dev/null; then
            tail -n 20 "$state/dockerd.log" >&2
            ENGINE_PID=
            die "dockerd ended at once; its log is $state/dockerd.log"
        fi
        ((waited < 60)) || die "dockerd did not answer within 60 s; its log is $state/dockerd.log"
        ((waited % 10 != 9)) || say "waiting for dockerd: $((waited + 1)) s"
        sleep 1
        waited=$((waited + 1))
    done
}

# engine_spawn STATE_DIR runs dockerd in the background, in a session of its own: a Ctrl-C on the
# terminal must reach up.sh only, which stops things in order.
engine_spawn() {
    local state=$1
    mkdir -p "$state"
    if ! grep -q ' /sys/fs/cgroup' /proc/mounts && have cgroupfs-mount; then
        cgroupfs-mount
    fi
    # A socket that a killed containerd left behind keeps dockerd from starting one of its own.
    if [[ -S /run/containerd/containerd.sock ]] && ! pgrep -x containerd >/dev/null; then
        rm -f /run/containerd/containerd.sock
    fi
    rm -f "$state/dockerd.pid"
    say "starting the Docker engine: dockerd (log: $state/dockerd.log)"
    setsid dockerd --host "unix://$SYSTEM_SOCKET" --pidfile "$state/dockerd.pid" \
        >"$state/dockerd.log" 2>&1 </dev/null &
    ENGINE_PID=$!
}

# engine_stop ends the dockerd that engine_spawn started, and waits for it: it stops its containers.
engine_stop() {
    [[ -n $ENGINE_PID ]] || return 0
    say "stopping the Docker engine that this command started"
    stop_process "$ENGINE_PID" 40
    ENGINE_PID=
}
