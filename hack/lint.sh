#!/usr/bin/env bash
# hack/lint.sh lints the Go code of both modules (.golangci.yml says how) and the shell scripts.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

have shellcheck || die "no shellcheck on the PATH: sudo apt-get install shellcheck"
golangci_lint=$("$ROOT/hack/tool.sh" golangci-lint)
status=0

say "lint: shell scripts"
shellcheck hack/*.sh .ci/run || status=1

for module in . standalone; do
    say "lint: Go module $module"
    (cd "$module" && "$golangci_lint" run --allow-parallel-runners --config "$ROOT/.golangci.yml" ./...) || status=1
done
exit "$status"
