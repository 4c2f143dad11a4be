#!/usr/bin/env bash
# Copyright The Docker Control Platform Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

# Builds the etcd and the kube-apiserver that envtest runs, from the versions in standalone/go.mod, and prints the
# directory they are in. Only that goes to standard output:
#
#     export KUBEBUILDER_ASSETS="$(hack/envtest-assets.sh)"
#
# What is built already is not built again; a KUBEBUILDER_ASSETS that is set already is printed and nothing is built.
set -euo pipefail

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
	for binary in etcd kube-apiserver; do
		if [[ ! -x $KUBEBUILDER_ASSETS/$binary ]]; then
			echo "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS has no executable $binary: put it there, or unset the variable" >&2
			exit 1
		fi
	done
	echo "$KUBEBUILDER_ASSETS"
	exit
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root/standalone"

# Everything the binaries are made of, by content; the sums stand for the modules.
sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }
hash=$({ go env GOVERSION GOOS GOARCH; cat go.mod go.sum cmd/etcd/*.go cmd/kube-apiserver/*.go; } | sha256 | cut -c1-16)

# The user's cache where there is one, since it is the same for every checkout.
cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
cache=${cache:-$root/.cache}/dockercontrol
assets=$cache/envtest-$hash
mkdir -p "$cache"

# One build at a time; the second finds the first one's result.
if command -v flock >/dev/null; then
	exec 9>"$cache/envtest.lock"
	flock 9
fi
if [[ -x $assets/etcd && -x $assets/kube-apiserver ]]; then
	touch "$assets" # see the clean-up below
	echo "$assets"
	exit
fi

echo "Building etcd and kube-apiserver for envtest; without a warm Go cache that takes some minutes." >&2
building=$(mktemp -d "$cache/building.XXXXXX")
trap 'rm -rf "$building"' EXIT
# -v names each package that is compiled; a line for a hundred of them shows that it goes on.
CGO_ENABLED=0 go build -v -ldflags='-s -w' -o "$building/" ./cmd/etcd ./cmd/kube-apiserver 2>&1 |
	awk '/^[a-z0-9.\/_-]+$/ { if (++n % 100 == 0) print "  " n " packages compiled"; next } { print } { fflush() }' >&2
chmod 755 "$building"
if ! mv -T "$building" "$assets" 2>/dev/null; then
	rm -rf "$assets" && mv "$building" "$assets" # half of an earlier one, or no GNU mv
fi
trap - EXIT

# 140 MB for each version of Kubernetes add up: what nobody asked for in a month goes.
find "$cache" -maxdepth 1 -type d \( -name 'envtest-*' -mtime +30 -o -name 'building.*' -mtime +1 \) -exec rm -rf {} +
echo "$assets"
