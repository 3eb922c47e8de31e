# `make demo` shows the main job, `make test` is everything that gates. Both install what they need under target/.

CARGO ?= cargo
MUSL := $(shell uname -m)-unknown-linux-musl
BIN := $(or $(CARGO_TARGET_DIR),target)/debug
export RUST_BACKTRACE ?= 0

.PHONY: help build setup demo up down test lint unit scenarios chaos simulate bench generate audit release static clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1: /p' $(MAKEFILE_LIST)

build: ## Build the operator and the test world (always the whole workspace: -p would rebuild half of it)
	$(CARGO) build --workspace --locked

setup: build ## Build the control plane and install the AWS servers
	$(BIN)/e2e setup

demo: build ## Show the main job, from apply to deletion
	$(BIN)/e2e demo

up: build ## Start a playground (OPERATOR=none: without the operator; AWS=simulator: for blue/green and canary)
	$(BIN)/e2e up

down: build ## End the playground
	$(BIN)/e2e down

test: lint unit scenarios ## Run everything that gates
	@echo "make test: PASSED"

lint: ## Formatting and clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

unit: ## Unit tests, schema tests, the layers of modules and the driver against mock servers
	$(CARGO) test --workspace --locked --lib --bins --test schema --test cel --test generated --test driver --test rollouts --test modules --test messages --test simulation

scenarios: build ## End-to-end scenarios on a real API server, and the schemas against AWS's API model
	$(CARGO) test --workspace --locked --test api_model --test scenarios

chaos: build ## Trouble at every call to AWS and the API server (CHAOS_SHARD=2/4, CHAOS_RESUME=1)
	$(CARGO) test --workspace --locked --test chaos

simulate: ## Random worlds in virtual time (SIMULATE="--seed=0 --count=100000 --steps=30")
	$(CARGO) build --workspace --locked --profile simulate --bin e2e
	$(or $(CARGO_TARGET_DIR),target)/simulate/e2e simulate $(SIMULATE)

# GOGC as the API server has it by default: that is how ACK was measured.
bench: build release ## Speed, calls and memory beside our aims (BENCH="--parts=life --sizes=200")
	GOGC=100 OPERATOR_BINARY=$(or $(CARGO_TARGET_DIR),target)/release/ecs-operator $(BIN)/e2e bench $(BENCH)

generate: build ## Regenerate what is generated from the code
	$(BIN)/ecs-operator crd > charts/ecs-operator/files/crds.yaml
	$(BIN)/e2e chart-values > charts/ecs-operator/values.yaml
	$(BIN)/e2e chart-readme > charts/ecs-operator/README.md
	$(BIN)/e2e manifests > deploy/install.yaml
	$(BIN)/ecs-operator iam-policy > deploy/iam-policy.json
	$(BIN)/e2e reasons > docs/reasons.md
	$(BIN)/e2e metrics > docs/metrics.md
	$(BIN)/e2e kinds
	$(BIN)/e2e merge-keys > gitops/kustomize/ecs-operator-openapi.json
	UPDATE_MESSAGES=1 $(CARGO) test --workspace --locked --test messages

audit: ## Licences, bans and sources of the dependencies, where cargo-deny is installed
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check licenses bans sources; else echo "cargo-deny is not installed: skipped"; fi

release: ## The operator as it ships
	$(CARGO) build --workspace --release --locked --bin ecs-operator
	@ls -l $(or $(CARGO_TARGET_DIR),target)/release/ecs-operator

static: ## The operator as it goes into the image: static, small, at home in an empty root (needs musl-tools and the Rust target)
	CC_$(subst -,_,$(MUSL))=musl-gcc $(CARGO) build --workspace --release --locked --bin ecs-operator --target $(MUSL)
	./e2e/check-static $(or $(CARGO_TARGET_DIR),target)/$(MUSL)/release/ecs-operator

clean: ## Remove everything that was built
	$(CARGO) clean
