#!/usr/bin/env bash
# hack/verify.sh fails where something that is generated, tidied or promised is not as the sources say:
# generated files, license headers, go.mod files, "go vet", and the manifests. It changes nothing: it
# generates in a copy of the working tree, uncommitted work included. Every check runs, also after one
# that failed, so that one run shows all there is to fix.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=()

# check NAME FUNCTION runs one check and remembers it where it fails.
check() {
    say "verify: $1"
    if ! "$2"; then
        failed+=("$1")
    fi
}

# sources lists the files git tracks or would track, NUL between them; deleted ones left out.
sources() {
    local file
    git ls-files -z --cached --others --exclude-standard -- "$@" |
        while IFS= read -r -d '' file; do
            if [[ -e $file ]]; then printf '%s\0' "$file"; fi
        done
}

# modules lists the folders of all Go modules.
modules() {
    sources go.mod '*/go.mod' | xargs --null --no-run-if-empty --max-args=1 dirname
}

generated_files() {
    mkdir "$scratch/tree"
    sources | tar --create --null --files-from=- | tar --extract --directory="$scratch/tree"
    "$ROOT/hack/generate.sh" "$scratch/tree" || return 1
    local path status=0
    for path in api config docs/api.md; do
        diff --unified --recursive --new-file "$path" "$scratch/tree/$path" >&2 || status=1
    done
    ((status == 0)) || printf 'error: run "make generate" and commit what it changes\n' >&2
    return "$status"
}

license_headers() {
    local header file status=0
    header=$(<hack/boilerplate.go.txt)
    while IFS= read -r -d '' file; do
        # A build constraint may stand above the header.
        if [[ $(head -c 2000 "$file") != *"$header"* ]]; then
            printf 'error: %s does not start with the text of hack/boilerplate.go.txt\n' "$file" >&2
            status=1
        fi
    done < <(sources '*.go')
    return "$status"
}

tidy_modules() {
    local module status=0
    while IFS= read -r module; do
        if ! (cd "$module" && go mod tidy -diff >&2); then
            printf 'error: run "go mod tidy" in %s and commit what it changes\n' "$module" >&2
            status=1
        fi
    done < <(modules)
    return "$status"
}

vet() {
    local module status=0
    while IFS= read -r module; do
        # A module that only pins tools has no package.
        if [[ -n $(cd "$module" && go list -e ./... 2>/dev/null) ]]; then
            (cd "$module" && go vet ./...) || status=1
        fi
    done < <(modules)
    return "$status"
}

manifests() {
    local kubectl folder status=0
    kubectl=$("$ROOT/hack/tool.sh" kubectl) || return 1
    for folder in config/default config/samples; do
        "$kubectl" kustomize "$folder" >"$scratch/manifest.yaml" || status=1
        [[ -s $scratch/manifest.yaml ]] || status=1
    done
    return "$status"
}

check "generated files are up to date" generated_files
check "license headers" license_headers
check "go.mod files are tidy" tidy_modules
check "go vet" vet
check "manifests build" manifests

if ((${#failed[@]} > 0)); then
    die "verify: $(printf '%s; ' "${failed[@]}")see above"
fi
say "verify: all good"
