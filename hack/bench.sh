#!/usr/bin/env bash
# hack/bench.sh is "make bench": it runs the benchmarks of test/bench, whose numbers docs/benchmarks.md
# keeps. They measure and never fail on a number, so they are no part of "make test".
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

"$ROOT/hack/install-deps.sh" test
make --no-print-directory build
KUBEBUILDER_ASSETS=$("$ROOT/hack/envtest-assets.sh")
export KUBEBUILDER_ASSETS
go test -run='^$' -bench="${BENCH:-.}" -benchtime=1x -timeout=60m "$@" ./test/bench/...
