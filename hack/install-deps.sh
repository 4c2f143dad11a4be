#!/usr/bin/env bash
# hack/install-deps.sh engine|test installs what is missing from the distribution (Debian, Ubuntu):
#   engine  a Docker Engine, for "make up" on a machine that has none
#   test    everything the tests drive: engines, ssh, TLS, namespaces, a C compiler for the race detector
# As another user than root it installs nothing, says exactly what to install, and fails.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

group=${1:?usage: hack/install-deps.sh engine|test}
missing=() # packages, or alternatives of one as "a|b": the first the distribution has

# need PACKAGE COMMAND... asks for the package where one of the commands is missing.
need() {
    local package=$1
    shift
    have "$@" || missing+=("$package")
}

# has_compose tells whether compose is there, as the CLI's plugin or as a program of its own.
has_compose() {
    docker compose version >/dev/null 2>&1 || have docker-compose
}

case $group in
engine)
    need docker.io dockerd containerd
    need 'docker-cli|docker.io' docker
    ;;
test)
    need docker.io dockerd containerd runc
    need 'docker-cli|docker.io' docker
    has_compose || missing+=('docker-compose-v2|docker-compose')
    need podman podman
    need openssh-server sshd
    need openssh-client ssh ssh-keygen
    need openssl openssl
    need iproute2 ip
    need iptables iptables
    need util-linux nsenter unshare setsid
    need procps ps
    need busybox-static busybox # the only image the tests need is made of it
    need git git
    need gcc gcc
    need shellcheck shellcheck
    [[ -e /usr/include/stdlib.h ]] || missing+=(libc6-dev)
    ;;
*) die "hack/install-deps.sh: '$group' is not engine or test" ;;
esac

((${#missing[@]} > 0)) || exit 0

have apt-get || die "this machine has no apt-get. Install what provides these Debian packages: ${missing[*]//|*/}"

# choose prints the first of the alternatives "a|b" that the distribution has.
choose() {
    local package
    for package in ${1//|/ }; do
        if [[ $(apt-cache policy "$package" 2>/dev/null) == *"Candidate: "[!\(]* ]]; then
            printf '%s\n' "$package"
            return
        fi
    done
    printf '%s\n' "${package:-$1}" # apt-get will say that there is none
}

if ((EUID != 0)); then
    packages=()
    for package in "${missing[@]}"; do packages+=("$(choose "$package")"); done
    die "some programs are missing, and only root can install them:
    sudo apt-get update && sudo apt-get install -y ${packages[*]}"
fi

say "installing: ${missing[*]} (apt-get update first)"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
apt() { # Quiet unless it fails: the log of a good installation helps nobody.
    if ! apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        die "apt-get $* failed"
    fi
}
apt update
packages=()
for package in "${missing[@]}"; do packages+=("$(choose "$package")"); done
apt install "${packages[@]}"
rm -f "$log"
say "installed ${packages[*]}"
