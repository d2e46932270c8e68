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
# As in the images (docs/decisions/0009).
export GOMP_SPINCOUNT := 10000
# The locked Node comes first: the machine's own, if it has one, may be past its end of life.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport VIRTUAL_ENV

# On all cores, a file of tests on one of them: what a file deploys once, it deploys once.
PYTEST := -m pytest -q --numprocesses auto --dist loadfile

SOURCES := sluice cli local lambdas containers examples benchmarks tests

.PHONY: help setup demo test test-unit coverage mutants nightly sanitize fuzz test-sdk check lint types layers dockerfiles synth templates bench bench-drift bench-judge bench-features bench-serving smoke-aws smoke-local soak clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | column -t -s "$$(printf '\t')"

setup: .venv/.ready .venv-infra/.ready .venv-features/.ready node_modules/.ready build/.native ## install everything into this folder (nothing elsewhere)

.tools/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sluice needs Python 3.11 or later")'
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check 'uv==0.13.9'

# The two environments cannot be one: jsii (aws-cdk-lib) pins typeguard 2.13.3, feast needs 4 or later.
.venv/.ready: pyproject.toml uv.lock | $(if $(findstring .tools,$(UV)),.tools/bin/uv)
	$(UV) sync --frozen --quiet --python $(PYTHON)
	touch $@

.venv-infra/.ready: pyproject.toml uv.lock | $(if $(findstring .tools,$(UV)),.tools/bin/uv)
	UV_PROJECT_ENVIRONMENT=.venv-infra $(UV) sync --frozen --quiet --python $(PYTHON) --no-default-groups --group infra
	touch $@

# Feast needs pandas < 3, and what trains and serves stands on 3: docs/decisions/0016.
.venv-features/.ready: pyproject.toml uv.lock | $(if $(findstring .tools,$(UV)),.tools/bin/uv)
	UV_PROJECT_ENVIRONMENT=.venv-features $(UV) sync --frozen --quiet --python $(PYTHON) --no-default-groups --group features-dev
	touch $@

node_modules/.ready: package.json package-lock.json | .venv/.ready
	npm ci --silent --no-fund --no-audit
	touch $@

# The native scorer, where the machine has a C compiler; without one numpy stands in, slower and as exact.
build/.native: $(wildcard containers/compiled/native/*) | .venv/.ready
	.venv/bin/python -m containers.compiled.build
	mkdir -p build
	touch $@

demo: setup ## local AWS, cdk deploy of examples/churn, upload, training, endpoint, predictions
	.venv/bin/sluice demo

test: setup ## all tests but those of the SDKs (make test-sdk)
	.venv-infra/bin/python $(PYTEST) tests/infra
	.venv-features/bin/python $(PYTEST) tests/features
	.venv/bin/python $(PYTEST) --ignore=tests/infra --ignore=tests/features --ignore=tests/sdk

test-unit: setup ## the inner loop: what needs no socket and no local AWS
	.venv/bin/python $(PYTEST) tests/unit

coverage: setup ## all tests but tests/infra and the end-to-end ones, with the lines they reach: build/coverage/index.html
	.venv/bin/python -m pytest -q tests/unit tests/statemachines tests/local \
	  --cov=sluice --cov=lambdas --cov=containers --cov=cli --cov=local --cov=infra/asl \
	  --cov-branch --cov-report=term:skip-covered --cov-report=html:build/coverage

mutants: setup ## deliberate mistakes, each of which the tests must catch (tests/mutants/mutations.toml); ARGUMENTS="--only lock"
	.venv/bin/python -m tests.mutants $(ARGUMENTS)

nightly: setup ## what takes too long for every change: all of it, and red at the end if any was
	failed=
	for target in mutants coverage sanitize fuzz smoke-local test-sdk soak; do $(MAKE) $$target || failed="$$failed $$target"; done
	test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

sanitize: setup ## the native code's tests under AddressSanitizer and UBSan, built apart in build/sanitized
	.venv/bin/python -m tests.sanitized

FUZZ_SECONDS ?= 1800

fuzz: setup ## long fuzzing of the serving container, for the night; what it finds is in build/fuzz/
	SLUICE_FUZZ_TIMES=40 .venv/bin/python -m pytest -q tests/unit/containers/test_fuzz.py
	$(UV) run --frozen --with 'atheris<4' python -m tests.unit.containers.fuzz_serving build/fuzz \
	  -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=30

# The SDKs pull in what cannot live in one environment with ours, or with each other.
build/sdk/%/.ready: tests/sdk/requirements/%.txt | .venv/.ready
	$(UV) venv --quiet --clear --python $(PYTHON) $(@D)
	$(UV) pip install --quiet --python $(@D)/bin/python --requirement $<
	touch $@

test-sdk: setup build/sdk/sdk2/.ready build/sdk/sdk3/.ready build/sdk/awscli/.ready build/sdk/dvc/.ready ## the SageMaker SDKs 2 and 3, the AWS CLI and DVC, unmodified, on the local AWS
	.venv/bin/python -m pytest -q tests/sdk tests/end_to_end/test_dvc.py

check: setup lint types layers dockerfiles templates ## all static checks

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: setup
	.venv/bin/mypy --exclude '^(tests/infra|tests/sdk/programs|build|cdk.out|benchmarks/serving/peers)/' $(SOURCES)
	.venv-infra/bin/mypy infra tests/infra

layers: setup
	.venv/bin/lint-imports

dockerfiles: setup
	.venv/bin/hadolint containers/*/Dockerfile

synth: setup ## the CloudFormation templates of the examples, into cdk.out/
	for project in telco churn; do
	  node_modules/.bin/cdk synth --quiet --no-notices -c project=examples/$$project -c environment=prod --output cdk.out/$$project
	done

templates: synth
	.venv/bin/cfn-lint cdk.out/*/*.template.json

bench: setup ## the figures of the README, as JSON
	missed=
	for script in validation lambda_latency attacks end_to_end; do
	  .venv/bin/python benchmarks/$$script.py || missed="$$missed $$script"
	done
	.venv/bin/python -m benchmarks.invoke_endpoint || missed="$$missed invoke_endpoint"
	test -z "$$missed" || { echo "missed its bar or failed:$$missed" >&2; exit 1; }

# Beside Feast's own calls, which run in its environment.
bench-features: setup ## the feature path: windows, online reads beside Feast's, predictions by id, the local DynamoDB, materialization beside Feast's, as JSON
	missed=
	.venv/bin/python benchmarks/features/windows.py || missed="$$missed windows"
	for store in stub local; do
	  .venv/bin/python -m benchmarks.features.online_read --feast .venv-features/bin/python --store $$store || missed="$$missed online_read:$$store"
	done
	.venv/bin/python -m benchmarks.features.predictions_by_id || missed="$$missed predictions_by_id"
	.venv/bin/python benchmarks/features/local_dynamodb.py || missed="$$missed local_dynamodb"
	.venv/bin/python -m benchmarks.features.materialization --feast .venv-features/bin/python || missed="$$missed materialization"
	test -z "$$missed" || { echo "missed its bar or failed:$$missed" >&2; exit 1; }

bench-drift: setup ## false alarms of the drift verdict in a month, delays, and what ten million rows cost
	.venv/bin/python -m benchmarks.drift

bench-judge: setup ## what the gate promotes of models whose truth is known, and what it costs
	.venv/bin/python -m benchmarks.judge
	.venv/bin/python -m benchmarks.tracking

# About ten minutes; the first time it installs the peers' environments. For development: ARGUMENTS=--quick.
bench-serving: setup ## the serving container beside other servers: tables, docs/serving.*, build/bench/serving.json
	.venv/bin/python -m benchmarks.serving compare $(or $(ARGUMENTS),--docs)

# About an hour and less than a dollar, for a person with an account; it does nothing until SMOKE_ACCOUNT names that account.
smoke-aws: setup ## the whole way on a real account, and back: SMOKE_ACCOUNT=<account> make smoke-aws
	.venv/bin/python -m tests.smoke $(ARGUMENTS)

# Nightly.
smoke-local: setup ## the script of smoke-aws on a local AWS of its own
	.venv/bin/python -m tests.smoke --local

# Nightly.
soak: setup ## half an hour of load on the serving container: no error, no growth, no slowing down
	.venv/bin/python -m benchmarks.serving soak --minutes $(or $(MINUTES),30)

clean: ## remove what make made in this folder
	rm -rf .venv .venv-infra .venv-features .tools node_modules cdk.out build containers/compiled/*.so .mypy_cache .ruff_cache .pytest_cache
