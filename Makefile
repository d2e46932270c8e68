# Everything a person or CI runs. `make setup` needs Python >= 3.11 with venv, git, make and a package index: uv,
# Node and the CDK CLI come from there where the machine has none.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.ONESHELL:
.DEFAULT_GOAL := help

PYTHON ?= python3
UV ?= $(shell command -v uv || echo $(CURDIR)/.tools/bin/uv)
export UV
export UV_COMPILE_BYTECODE := 1
# Ours come last: a machine's own Node is used where there is one.
export PATH := $(PATH):$(CURDIR)/.venv/bin
export JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION := 1
unexport VIRTUAL_ENV

SOURCES := sluice cli local examples benchmarks tests

.PHONY: help setup test check lint types layers clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | column -t -s "$$(printf '\t')"

setup: .venv/.ready ## install everything into this folder (nothing elsewhere)

.tools/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sluice needs Python 3.11 or later")'
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'

.venv/.ready: pyproject.toml uv.lock | $(if $(findstring .tools,$(UV)),.tools/bin/uv)
	$(UV) sync --frozen --quiet --python $(PYTHON)
	touch $@


test: setup ## all tests
	.venv/bin/python -m pytest -q

check: setup lint types layers ## all static checks

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: setup
	.venv/bin/mypy $(SOURCES)

layers: setup
	.venv/bin/lint-imports

clean: ## remove what make made in this folder
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache
