# What a person types. Every target makes the environment it needs: nothing has to be there but Python 3.11 and make.

# The first Python that starts and is new enough; name another with `make PYTHON=...`.
CANDIDATES := python3.11 python3 python3.12 python3.13 python
PYTHON ?= $(shell for python in $(CANDIDATES); do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
unexport PYTHONDONTWRITEBYTECODE  # or each Python that a test starts compiles everything anew

.DEFAULT_GOAL := help
.PHONY: help install demo demo-chat demo-compare web torture test test-all browser check $(CHECKS) fix bench test-all-pythons constraints clean

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

install: $(VENV)/.installed  ## Make .venv, with everything that the other targets use

# One recipe for every environment. The peers that `bench` measures are not for everybody, so they have their own.
EXTRAS = dev
$(VENV)/.installed .venv-bench/.installed .venv-3.11/.installed .venv-3.12/.installed .venv-3.13/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "agentflow needs Python 3.11 or newer: say which with make PYTHON=..." >&2; exit 1; }
	@echo "Installing into $(@D) (a minute or two) ..."
	@test -x $(@D)/bin/python || $(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --editable '.[$(EXTRAS)]' --constraint constraints.txt
	@touch $@

demo: $(VENV)/.installed  ## Watch the email assistant work, without a key or a network
	@$(BIN)/agentflow demo email-assistant

demo-chat: $(VENV)/.installed  ## Talk to the smallest chat agent
	@$(BIN)/agentflow demo chat-agent

demo-compare: $(VENV)/.installed  ## Put prompts to three providers, and see the answers side by side
	@$(BIN)/agentflow demo multi-model

web: $(VENV)/.installed  ## Serve the email assistant with its page (PORT=8000)
	@$(BIN)/python examples/email_assistant/server.py $(or $(PORT),8000)

torture: $(VENV)/.installed  ## Crash, race, cancel and starve saved runs in every store (half an hour; SHARE=0.05 is less)
	@$(BIN)/python scripts/torture.py --share $(or $(SHARE),1)

# As many processes as there are processors, though no more than four: each has to load litellm and start its servers.
export WORKERS ?= --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

test: CHOICE = -m 'not slow'  ## Run the tests, with coverage: all but the slow ones, and random ones for a short while
test-all: browser
test-all: export AGENTFLOW_THOROUGH = 1  ## Run every test, with coverage, and random ones for longer
# `coverage run` and not pytest's plugin: pytest loads agentflow's own plugin, and agentflow with it, before that begins.
test test-all: $(VENV)/.installed
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(WORKERS) $(CHOICE) $(PYTEST_OPTIONS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

browser: $(VENV)/.installed
	@.ci/install-browser >/dev/null || echo "There is no browser: the tests of pages will fail." >&2

CHECKS := check-format check-lint check-types check-imports check-caps
check: $(CHECKS)  ## Lint, types, import rules, size caps (make -k check goes on after a failure)

$(CHECKS): $(VENV)/.installed
check-format:
	@$(BIN)/ruff format --check .
check-lint:
	@$(BIN)/ruff check .
# pyright does not follow the link of an editable install, hence the PYTHONPATH.
check-types:
	@$(BIN)/mypy
	@PYTHONPATH=src $(BIN)/pyright --pythonpath $(BIN)/python --verifytypes agentflow --ignoreexternal
check-imports:
	@$(BIN)/lint-imports
check-caps:
	@$(BIN)/python scripts/caps.py

fix: $(VENV)/.installed  ## Format, and fix what can be fixed
	@$(BIN)/ruff check --fix --show-fixes . || true
	@$(BIN)/ruff format .

bench: EXTRAS = bench
bench: .venv-bench/.installed  ## Measure beside Burr, LangGraph, pydantic-graph and a hand-written loop
	@.venv-bench/bin/python -m benchmarks

test-all-pythons:  ## Run the tests under every supported Python that is on this machine
	@scripts/test-all-pythons

constraints:  ## Write constraints.txt anew: the newest versions that every supported Python can have
	@scripts/freeze > constraints.new
	@mv constraints.new constraints.txt

clean:  ## Remove environments and what the tools keep
	@rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* build dist
