.DEFAULT_GOAL := help
.PHONY: help run reset up down status build fmt lint doc test chaos bench

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

run: ## Show everything at work: local stack, vendor lab, load, a broken channel; ONCE=1 ends with a verdict
	@deploy/demo/run.sh $(if $(ONCE),--once)

reset: ## Remove what `make run` has stored
	@deploy/demo/reset.sh

up: ## Start the local stack: prerequisites, Kafka, ClickHouse engine library
	@deploy/local/prerequisites.sh
	@deploy/local/libchdb.sh fetch
	@deploy/local/kafka.sh start

down: ## Stop the local stack, keep its data
	@deploy/local/kafka.sh stop

status: ## Show what runs and where
	@deploy/local/kafka.sh status || true
	@deploy/local/libchdb.sh status || true

build: ## Build everything
	cargo build --workspace

fmt: ## Format the Rust sources
	cargo fmt --all

lint: ## Check format and lints; warnings fail
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets -- -D warnings

doc: ## Build the API documentation; warnings fail
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

test: ## Set up, then pass every test, on a Kafka and ClickHouse engine of this clone's own, and a run of the demo
	@deploy/local/prerequisites.sh
	@deploy/local/libchdb.sh fetch
	@deploy/local/kafka.sh fetch
	$(MAKE) lint
	deploy/local/test-stack.sh run -- cargo test --workspace
	deploy/demo/check.sh

chaos: ## Kill everything under load, for long: SEED= KILLS=500 RATE=550 STOP=30; prints the judge's table
	@deploy/chaos/run.sh

bench: ## Measure accept and end to end on a stack of its own, release build; SECONDS=60 for other lengths
	@deploy/bench/run.sh accept $(if $(SECONDS),--seconds $(SECONDS))
	@deploy/bench/run.sh e2e $(if $(SECONDS),--seconds $(SECONDS))
