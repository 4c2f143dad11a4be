# Docker Control Platform. "make" alone lists what there is to make; CONTRIBUTING.md says more.

SHELL := /usr/bin/env bash -e -o pipefail
.DEFAULT_GOAL := help
.SUFFIXES:

# One set of flags for every build: programs are static and name no path of this machine. hack/lib.sh
# sets the same, or each of them would compile the whole control plane once more.
export CGO_ENABLED := 0
ifeq ($(findstring -trimpath,$(GOFLAGS)),)
export GOFLAGS := -trimpath -buildvcs=false $(GOFLAGS)
endif

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X github.com/dockercontrol/dockercontrol/internal/manager.Version=$(VERSION)
GO_BUILD = bash -c 'source hack/lib.sh; go_build "$$@"' build

##@ Run

.PHONY: up
up: ## Run it here: an engine, the control plane and the manager, until Ctrl-C.
	@hack/up.sh

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  \033[36m%-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Build

.PHONY: build manager standalone enginesim
build: manager standalone enginesim ## Build bin/manager, bin/standalone and bin/enginesim.

manager:
	@$(GO_BUILD) . $(CURDIR)/bin/manager ./cmd/manager -ldflags='$(LDFLAGS)'

standalone:
	@$(GO_BUILD) standalone $(CURDIR)/bin/standalone ./cmd/standalone -ldflags='$(LDFLAGS)'

enginesim:
	@$(GO_BUILD) . $(CURDIR)/bin/enginesim ./cmd/enginesim -ldflags='$(LDFLAGS)'

.PHONY: images
images: manager standalone ## Build the images from scratch, offline, with the engine at hand.
	DOCKER_BUILDKIT=0 docker build --tag dockercontrol/manager .
	DOCKER_BUILDKIT=0 docker build --tag dockercontrol/standalone --file deploy/standalone.Dockerfile .

.PHONY: generate
generate: ## Write the generated files: deepcopy, CRDs, RBAC, docs/api.md.
	@hack/generate.sh

.PHONY: clean
clean: ## Remove what was built here. The cache in ~/.cache/dockercontrol and .data stay.
	rm -rf bin .test-logs

##@ Check

.PHONY: test
test: ## Install what is missing and run every test; PARTS=unit,lint runs some parts.
	@go run ./hack/testparts -only='$(PARTS)'

.PHONY: verify
verify: ## Check generated files, license headers, go.mod files, go vet and the manifests.
	@hack/verify.sh

.PHONY: lint
lint: ## Lint the Go code of both modules and the shell scripts.
	@hack/lint.sh

.PHONY: bench
bench: ## Run the benchmarks behind docs/benchmarks.md.
	@hack/bench.sh
