#!/usr/bin/env bash
# hack/up.sh is "make up": it finds a Docker engine or starts one, builds bin/standalone, runs it, makes
# the engine a Ready DockerHost, says how to use it all, and stays until Ctrl-C, which stops what it
# started and nothing else. The data folder keeps the objects for the next start.
#
#   DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH   the engine, as for the docker CLI
#   SSH_KEY          the private key for an ssh:// engine (default: the first of ~/.ssh/id_*)
#   DATA_DIR         where the control plane keeps its data (default: .data)
#   API_ADDRESS, PROXY_ADDRESS                         where it listens (default: 127.0.0.1:6443, :8443)
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$ROOT/hack/engine.sh"

DATA_DIR=${DATA_DIR:-$ROOT/.data}
(umask 077 && mkdir -p "$DATA_DIR") # keys and tokens live there
DATA_DIR=$(cd "$DATA_DIR" && pwd)
API_ADDRESS=${API_ADDRESS:-127.0.0.1:6443}
PROXY_ADDRESS=${PROXY_ADDRESS:-127.0.0.1:8443}
export KUBECONFIG=$DATA_DIR/admin.kubeconfig
standalone_pid=
standalone_out=$DATA_DIR/up.log # what it prints; its log is standalone.log beside it

# stop runs once at the end, however the end came.
stop() {
    local status=$?
    trap '' INT TERM
    if [[ -n $standalone_pid ]]; then
        say "stopping the control plane"
        stop_process "$standalone_pid" 60 # it gives itself 40
    fi
    engine_stop
    exit "$status"
}
trap stop EXIT
trap 'printf "\n" >&2; exit 0' INT TERM

# start_standalone runs the control plane and waits until it takes objects.
start_standalone() {
    local waited=0
    say "starting the control plane (log: $DATA_DIR/standalone.log)"
    setsid "$ROOT/bin/standalone" --data-dir "$DATA_DIR" --api-address "$API_ADDRESS" \
        --proxy-address "$PROXY_ADDRESS" >"$standalone_out" 2>&1 </dev/null &
    standalone_pid=$!
    until grep -q '^standalone ready' "$standalone_out"; do
        if ! kill -0 "$standalone_pid" 2>/dev/null; then
            standalone_pid=
            tail -n 30 "$standalone_out" >&2
            die "the control plane ended; its log is $DATA_DIR/standalone.log"
        fi
        ((waited < 300)) || die "the control plane was not ready within 300 s; its log is $DATA_DIR/standalone.log"
        ((waited % 10 != 9)) || say "waiting for the control plane: $((waited + 1)) s"
        sleep 1
        waited=$((waited + 1))
    done
}

# put_secret NAME KEY=FILE... stores files as a Secret. Server-side, or a copy of them would land in
# the annotation that client-side apply keeps.
put_secret() {
    local name=$1 arguments=() pair
    shift
    for pair in "$@"; do
        [[ -r ${pair#*=} ]] || die "cannot read ${pair#*=}, which the engine at $ENGINE_ENDPOINT needs"
        arguments+=("--from-file=$pair")
    done
    "$kubectl" create secret generic "$name" --namespace default "${arguments[@]}" --dry-run=client --output=yaml |
        "$kubectl" apply --server-side --force-conflicts --filename=- >/dev/null
}

# host_spec stores the credentials of the engine and prints the lines of the DockerHost's spec.
host_spec() {
    local endpoint=$ENGINE_ENDPOINT certs key
    case $endpoint in
    tcp://*)
        local port=2375
        if [[ -n ${DOCKER_TLS_VERIFY:-} ]]; then port=2376; fi
        endpoint=${endpoint%/}
        if [[ ! $endpoint =~ :[0-9]+$ ]]; then endpoint=$endpoint:$port; fi
        printf '  endpoint: "%s"\n' "$endpoint"
        if [[ -n ${DOCKER_TLS_VERIFY:-} ]]; then
            certs=${DOCKER_CERT_PATH:-$HOME/.docker}
            put_secret local-tls ca.crt="$certs/ca.pem" tls.crt="$certs/cert.pem" tls.key="$certs/key.pem"
            printf '  tls:\n    secretRef:\n      name: local-tls\n'
        else
            printf '  insecure: true\n'
        fi
        ;;
    ssh://*)
        if [[ $endpoint != *@* ]]; then endpoint=ssh://$(id -un)@${endpoint#ssh://}; fi
        key=${SSH_KEY:-$(compgen -G "$HOME/.ssh/id_*" | grep -v '\.pub$' | head -n 1)} || true
        put_secret local-ssh ssh-privatekey="${key:-$HOME/.ssh/id_ed25519}" known_hosts="$HOME/.ssh/known_hosts"
        printf '  endpoint: "%s"\n  ssh:\n    secretRef:\n      name: local-ssh\n' "$endpoint"
        ;;
    *) printf '  endpoint: "%s"\n' "$endpoint" ;;
    esac
}

# apply_host makes the engine a DockerHost.
apply_host() {
    local spec
    spec=$(host_spec)
    "$kubectl" apply --server-side --force-conflicts --filename=- >/dev/null <<YAML
apiVersion: dockercontrol.dev/v1alpha1
kind: DockerHost
metadata:
  name: local
  namespace: default
spec:
$spec
YAML
}

print_summary() {
    printf '\n'
    "$kubectl" get dockerhosts --namespace default --output wide
    printf '\n'
    if ! have kubectl; then printf "alias kubectl='%s'\n" "$kubectl"; fi
    cat <<TEXT
export KUBECONFIG=$KUBECONFIG

proxy    https://$PROXY_ADDRESS (its CA: $DATA_DIR/ca.crt)
log in   with the token that this prints: kubectl --namespace dockercontrol-system create token admin
         curl --cacert $DATA_DIR/ca.crt --header "Authorization: Bearer \$(kubectl --namespace dockercontrol-system create token admin)" https://$PROXY_ADDRESS/
docker   through the proxy, with that token: docs/docker-cli.md
data     $DATA_DIR (the next start has the same objects)

Ctrl-C stops it.
TEXT
}

cd "$ROOT"
if ! engine_find; then
    "$ROOT/hack/install-deps.sh" engine
    engine_find || engine_start "$DATA_DIR/engine" # installing may have started it
fi
say "Docker engine: $ENGINE_ENDPOINT"

say "building bin/standalone (a few minutes the first time on a machine, seconds after that)"
go_build "$ROOT/standalone" "$ROOT/bin/standalone" ./cmd/standalone -ldflags='-s -w'
kubectl=$(command -v kubectl || "$ROOT/hack/tool.sh" kubectl)

start_standalone
known=$("$kubectl" get dockerhost local --namespace default --ignore-not-found --output=name)
apply_host
if [[ -n $known ]]; then
    sleep 3 # the Ready that is stored may be the last run's; a refused connection takes 2 s to show
fi
if ! "$kubectl" wait --namespace default --for=condition=Ready --timeout=60s dockerhost/local >/dev/null 2>&1; then
    "$kubectl" get dockerhost local --namespace default --output wide >&2 || true
    "$kubectl" get dockerhost local --namespace default >&2 \
        --output jsonpath='{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}' || true
    die "the engine at $ENGINE_ENDPOINT is not Ready after 60 s: the conditions above say why"
fi
print_summary

status=0
wait "$standalone_pid" || status=$?
standalone_pid=
tail -n 30 "$standalone_out" >&2
die "the control plane ended by itself with status $status; its log is $DATA_DIR/standalone.log"
