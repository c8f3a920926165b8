# What a person types. Every target makes the environment it needs; nothing has to be installed first but Python and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

.DEFAULT_GOAL := help
.PHONY: help demo demo-chat test check fix bench clean test-all-pythons

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "agentflow needs Python 3.11 or newer: make PYTHON=python3.11"; exit 1; }
	@echo "Making $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) $(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	@touch $@

demo: $(STAMP)  ## Watch the email assistant work, without a key or a network
	@$(BIN)/agentflow demo email-assistant

demo-chat: $(STAMP)  ## The smallest chat agent
	@$(BIN)/agentflow demo chat-agent

test: $(STAMP)  ## Run every test, with coverage
	@$(BIN)/python -m pytest --cov --cov-report=term

check: $(STAMP)  ## Lint, types, import rules, size caps
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/pyright --verifytypes agentflow --ignoreexternal --pythonpath $(BIN)/python
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/caps.py

fix: $(STAMP)  ## Format, and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: .venv-bench/.installed  ## Measure beside Burr, LangGraph, pydantic-graph and a hand-written loop
	@.venv-bench/bin/python -m benchmarks

.venv-bench/.installed: pyproject.toml
	@$(PYTHON) -m venv .venv-bench
	@$(PIP) .venv-bench/bin/python -m pip install --quiet --editable '.[bench]'
	@touch $@

test-all-pythons:  ## Run the tests under every supported Python that is installed
	@bash scripts/test-all-pythons

clean:  ## Remove environments and caches
	@rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* dist build
