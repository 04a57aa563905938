# Everything sets itself up: a private virtual environment, uv as a package where it is missing, locked versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := $(VENV)/peers
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
NAME ?= quality
export UV_LINK_MODE ?= copy
# The machine knows whom it trusts: a mirror or a proxy of the company's own may have signed the connection.
export UV_SYSTEM_CERTS ?= true
.DEFAULT_GOAL := help

.PHONY: help demo test check bench audit lock clean

help: ## show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

demo: $(VENV)/run.stamp ## make up a company, learn from it, and show tonight's ranked list
	@$(BIN)/leadscore demo

test: $(VENV)/test.stamp ## lint, types, import contracts, every test, doctest and notebook
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python tests/audit.py 20 || echo "Those advisories are no mistake of this working tree: see make audit."
	@tests/chromium
	@$(BIN)/python -m pytest -n 2

check: $(VENV)/test.stamp ## put the code in order: format it, mend what lint can mend, check the types
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/mypy

bench: $(VENV)/test.stamp ## print and store one benchmark: make bench NAME=quality
	@test $(NAME) != quality || $(MAKE) -s $(PEERS)/made.stamp || echo "The peers cannot be installed: the benchmark runs without them."
	@$(BIN)/python -m benchmarks.$(NAME)

audit: $(VENV)/test.stamp ## ask whether an advisory is known against a locked package
	@$(BIN)/python tests/audit.py

lock: $(VENV)/test.stamp ## resolve the newest versions that fit pyproject.toml
	@$(UV) pip compile pyproject.toml --upgrade --universal --generate-hashes --no-header -q -o requirements.lock
	@$(UV) pip compile pyproject.toml --upgrade --universal --generate-hashes --no-header -q --all-extras --group test -c requirements.lock -o requirements-dev.lock
	@$(UV) pip compile benchmarks/peers.py --upgrade --universal --generate-hashes --no-header -q -o benchmarks/peers.lock

clean: ## remove the environment and everything the product made here
	@rm -rf $(VENV) .leadscore .pytest_cache .mypy_cache .ruff_cache .hypothesis benchmarks/results

$(VENV)/made.stamp:
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || { echo "leadscore needs Python 3.11 or 3.12: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@command -v uv >/dev/null 2>&1 || $(BIN)/python -m pip install -q uv
	@touch $@

$(VENV)/run.stamp: $(VENV)/made.stamp requirements.lock pyproject.toml
	@echo "Installing the locked packages ..."
	@$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install -q --python $(BIN)/python --no-deps -e .
	@touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp requirements-dev.lock
	@echo "Installing the locked test packages ..."
	@# Compiled once here rather than in every process that a test starts, where the environment lets Python write nothing.
	@$(UV) pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

# The benchmark's peers want other versions than the product, so they live apart from it.
$(PEERS)/made.stamp: $(VENV)/made.stamp benchmarks/peers.lock
	@echo "Installing the locked peers of the benchmark (once, about a gigabyte) ..."
	@$(UV) venv -q --clear --python $(BIN)/python $(PEERS)
	@$(UV) pip sync -q --python $(PEERS)/bin/python --require-hashes benchmarks/peers.lock
	@touch $@
