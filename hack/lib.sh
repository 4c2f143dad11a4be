# shellcheck shell=bash
# Shared by the scripts of this folder, which source it. It sets ROOT, the repository, and CACHE, the
# folder for things that are built once a machine: outside the checkout, so a fresh clone finds them.

set -euo pipefail
shopt -s inherit_errexit # also in $(...)

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/dockercontrol"
export ROOT CACHE

# say prints a line of progress. It goes to stderr: stdout is for what a script answers.
say() { printf '==> %s\n' "$*" >&2; }

# die says what is wrong and what to do about it, and ends the script.
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# have tells whether every command named is on the PATH.
have() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null 2>&1 || return 1
    done
}

# The system folders are where Debian keeps dockerd and sshd, and a user's PATH may lack them.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

have go || die "no 'go' on the PATH: install the Go that go.mod names from https://go.dev/dl/"

# One set of flags for every build, or the same packages are compiled once for each: programs are static
# and name no path of the machine they were built on. The version is set by the Makefile, so git is not
# asked. Tests with the race detector set CGO_ENABLED=1. The Makefile exports the same.
export CGO_ENABLED=0
if [[ ${GOFLAGS:-} != *-trimpath* ]]; then
    export GOFLAGS="-trimpath -buildvcs=false ${GOFLAGS:-}"
fi

# go_build MODULE_DIR OUTPUT PACKAGE [FLAG...] builds one static program and says every 10 s how far it
# is: cold builds of the embedded control plane take minutes, and silence looks like a hang.
go_build() {
    local dir=$1 output=$2 package=$3 name count=0 said=0 log status=0
    shift 3
    name=$(basename "${output%.new}")
    log=$(mktemp)
    SECONDS=0
    { (cd "$dir" && go build -v "$@" -o "$output" "$package") 2>&1 || echo "status $?"; } |
        while IFS= read -r line; do
            if [[ $line =~ ^[A-Za-z0-9._/~-]+$ ]]; then # with -v, the name of a package just compiled
                count=$((count + 1))
                if ((SECONDS - said >= 10)); then
                    said=$SECONDS
                    say "building $name: $count packages compiled, $SECONDS s"
                fi
            else
                printf '%s\n' "$line" >>"$log"
            fi
        done
    if grep -q '^status ' "$log"; then
        status=1
        grep -v -e '^status ' -e '^go: downloading ' "$log" >&2 || true
    elif ((SECONDS >= 10)); then
        say "built $name in $SECONDS s"
    fi
    rm -f "$log"
    return "$status"
}

# stop_process PID SECONDS asks a child of this shell to end, and ends it the hard way after SECONDS.
stop_process() {
    local pid=$1 patience=$2 waited=0
    kill -TERM "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do
        if ((waited >= patience * 10)); then
            say "process $pid did not end within $patience s: killing it"
            kill -KILL "$pid" 2>/dev/null || true
            break
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
    wait "$pid" 2>/dev/null || true
}
