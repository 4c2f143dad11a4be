#!/usr/bin/env bash
# hack/modern-engine.sh prints a directory with a dockerd and a docker-proxy of the newest Docker Engine,
# building them first where they are missing: the distribution's engine is older than the newest API.
#
# The version is pinned by hack/modern-engine/go.mod. What is built lands in the machine's cache under a
# hash of the go.mod and go.sum there and of the Go version.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

module=$ROOT/hack/modern-engine
key=$({ go env GOVERSION && cat "$module/go.mod" "$module/go.sum"; } | sha256sum | cut -c1-12)
dir=$CACHE/modern-engine-$key

if [[ ! -x $dir/dockerd || ! -x $dir/docker-proxy ]]; then
    mkdir -p "$dir"
    exec 9>"$dir.lock"
    flock 9 # two test binaries may ask for it at once
    for name in docker-proxy dockerd; do
        [[ ! -x $dir/$name ]] || continue
        say "building a modern $name (once on this machine)"
        go_build "$module" "$dir/$name.new" "github.com/moby/moby/v2/cmd/$name" -ldflags=-s\ -w
        mv "$dir/$name.new" "$dir/$name"
    done
fi
printf '%s\n' "$dir"
