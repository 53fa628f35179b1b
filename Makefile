# Every target is a script in ci/, so that CI and people run the same. `make` alone lists the targets.

.DEFAULT_GOAL := help

.PHONY: help build demo test setup test-go test-python test-conformance lint fmt fuzz cross bench bench-go docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/backline
	@ci/build.sh

demo: build ## serve examples/tour on http://127.0.0.1:8000 with the standard library alone
	bin/backline serve app:app --websocket live:app --chdir examples/tour

test: ## all tests and linters, with one summary at the end
	@ci/test.sh

setup: ## make .venv and fetch what tests and linters need
	@ci/setup.sh

test-go: ## Go tests, with the race detector
	@ci/go.sh

test-python: setup ## tests of the Python worker package
	@ci/python.sh

test-conformance: setup build ## tests that drive bin/backline from outside
	@ci/conformance.sh

lint: ## gofmt, golangci-lint, ruff, mypy, shellcheck, lengths
	@ci/lint.sh

fmt: ## format Go and Python, mend what linters can mend
	@FIX=1 ci/lint.sh

fuzz: ## every fuzz target for FUZZTIME (20s); PACKAGE=./wire for one folder
	@ci/fuzz.sh

cross: ## build for linux/arm64 and darwin/arm64
	@ci/cross.sh

bench: ## Backline beside granian, gunicorn and uvicorn; CASES="asgi-hello ..." for some
	@ci/bench.sh

bench-go: ## Go benchmarks; BENCH is a pattern, COUNT how often each runs
	@ci/bench_go.sh

docs: ## write the generated pages of docs/ anew
	@ci/docs.sh

clean: ## remove everything that was built or fetched into this folder
	rm -rf bin build .venv .venvs .tools
