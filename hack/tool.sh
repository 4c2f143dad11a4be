#!/usr/bin/env bash
# hack/tool.sh NAME prints the path of a development tool, building it first where it is missing.
#
# The versions are pinned by the go.mod files of hack/tools. What is built lands in the machine's cache
# under a hash of those files and of the Go version, so a changed pin builds a new tool and a fresh
# clone with the same pins builds none.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

name=${1:?usage: hack/tool.sh controller-gen|crd-ref-docs|golangci-lint|kubectl}
module=$ROOT/hack/tools
case $name in
controller-gen) package=sigs.k8s.io/controller-tools/cmd/controller-gen ;;
crd-ref-docs) package=github.com/elastic/crd-ref-docs ;;
kubectl) package=./kubectl ;;
golangci-lint) # With the Kubernetes API linter compiled in. "golangci-lint custom" would clone a git repository.
    module=$ROOT/hack/tools/golangci
    package=sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter
    ;;
*) die "hack/tool.sh knows no tool '$name'" ;;
esac

key=$({ go env GOVERSION && cat "$module/go.mod" "$module/go.sum"; } | sha256sum | cut -c1-12)
binary=$CACHE/tools/$key/$name

if [[ ! -x $binary ]]; then
    mkdir -p "$(dirname "$binary")"
    exec 9>"$binary.lock"
    flock 9 # two shells may ask for the same tool at once
    if [[ ! -x $binary ]]; then
        say "building $name (once on this machine)"
        go_build "$module" "$binary.new" "$package" -ldflags=-s\ -w
        mv "$binary.new" "$binary"
    fi
fi
printf '%s\n' "$binary"
