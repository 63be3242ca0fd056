# Everything happens in .venv and .kassa; nothing else of the machine is changed.
.DEFAULT_GOAL := help
.SUFFIXES:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip
LOCK := requirements.lock
STAMP := $(VENV)/.installed
# Two cores are the size of the smallest machine that the suite is meant for.
PYTEST_WORKERS ?= 2
SEED ?= 1
SEEDS ?= 50
PAYMENTS ?= 4000
COMPILE := $(UV) compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-emit-package kassa \
	--python-version 3.11

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
define MAKE_VENV
	for python in $(or $(PYTHON),python3.12 python3.11 python3); do \
		if $$python -c '$(SUPPORTED)' 2>/dev/null; then \
			echo "Installing into $(VENV) with $$($$python --version)"; \
			$$python -m venv --clear $(VENV) && break; \
			echo "$$python cannot make a virtual environment; on Debian, install its -venv package." >&2; exit 1; \
		fi; \
	done; \
	[ -x $(BIN)/python ] || { \
		echo "Kassa needs Python 3.11 or 3.12, and $(or $(PYTHON),the search path) has neither." >&2; \
		echo "Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2; exit 1; }
endef

# A moved checkout must be installed again: scripts and editable packages hold its path.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

.PHONY: help
help: ## Show what this Makefile can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## Install everything into .venv (Python 3.11 or 3.12; PYTHON=… names one)

$(STAMP): $(LOCK) pyproject.toml clients/python/pyproject.toml
	@[ ! -s $@ ] || [ "$$(cat $@)" = '$(CURDIR)' ] || rm -rf $(VENV)
	@rm -f $@
	@$(BIN)/python -c '$(SUPPORTED)' 2>/dev/null || { $(MAKE_VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' $(LOCK))"
	@$(UV) install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $(LOCK)
	@$(UV) install --quiet --python $(BIN)/python --no-deps --editable clients/python --editable .
	@printf '%s' '$(CURDIR)' > $@

.PHONY: run
run: setup ## Run the whole gateway on this machine; Ctrl-C stops it (KASSA_PORT=8080)
	@$(BIN)/python -m sandbox.local --end-with-parent

.PHONY: test
test: setup lint types contracts pytest ## Run every check: lint, types, import contracts, tests

.PHONY: simulate
simulate: setup ## Run 50 seeds of faults against the gateway (SEED=1 SEEDS=50 PAYMENTS=4000)
	@$(BIN)/kassa simulate --seed $(SEED) --seeds $(SEEDS) --payments $(PAYMENTS)

.PHONY: bench
bench: setup ## Measure the gateway beside the database alone, about two minutes (BENCH=--quick passes options)
	@$(BIN)/kassa bench $(BENCH)

.PHONY: lint
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: setup
	$(BIN)/mypy

.PHONY: contracts
contracts: setup
	$(BIN)/lint-imports

.PHONY: pytest
pytest: setup
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup

.PHONY: format
format: setup ## Format the code and sort its imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: protos
protos: setup ## Generate stubs and Envoy's descriptors from protos/
	$(BIN)/python protos/generate.py

.PHONY: lock
lock: setup ## Renew the lock files from both pyproject.toml
	$(COMPILE) --upgrade --group dev --extra local --output-file $(LOCK) pyproject.toml
	$(COMPILE) --constraint $(LOCK) --output-file requirements-server.lock pyproject.toml

.PHONY: image-check
image-check: setup ## Replay the Dockerfile's installation in a clean folder (slow)
	$(BIN)/python -m tests.local.replay_dockerfile

.PHONY: crash-matrix
crash-matrix: setup ## Kill the gateway at every step, publish docs/crash-matrix.md (ROUNDS=3 runs it three times)
	$(BIN)/python -m tests.acceptance.crash_matrix --rounds $(or $(ROUNDS),1)

.PHONY: clean
clean: ## Remove .venv and caches; what the gateway stored (.kassa) stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
