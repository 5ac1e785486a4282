# `make` alone shows what there is. Everything runs in .venv, made of requirements.lock.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
TESTS ?= tests
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install run up test test-recipes check pictures reproduce erase gc chaos figures bench-extract bench-helps bench-incremental bench-overhead bench-memory bench-train bench-select bench-nights scale lock secrets clean
.DELETE_ON_ERROR:

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-26s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "PYTHON=python3.12 chooses the Python that .venv is made of; tasks/embedded/__init__.py lists ports and folders."

install: $(STAMP) ## make .venv of requirements.lock (two to three minutes, once)

$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Nightloom needs Python 3.11 or newer, but $(PYTHON) is not: make install PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing $$(grep -c == requirements.lock) packages of requirements.lock (two to three minutes, once)"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --requirement requirements.lock
	@touch $@

run: $(STAMP) ## one night: land, train, judge, promote; RECIPE=diagnosis: of data/recipes/, in a project of its own
	@$(BIN)/python -m tasks.embedded run $(if $(RECIPE),--recipe $(RECIPE))

up: $(STAMP) ## Airflow and MLflow in the browser, until Ctrl-C
	@$(BIN)/python -m tasks.embedded up $(if $(RECIPE),--recipe $(RECIPE))

test: check ## the whole suite: units, processes that are killed, nights under a real scheduler, a cluster
	@$(BIN)/python -m pytest $(TESTS) -n 2 -m "not processes and not scheduler and not cluster and not recipes and not bench"
	@$(BIN)/python -m pytest $(TESTS) -n 2 --dist loadfile -m "processes and not scheduler and not cluster and not recipes and not bench"
	@$(BIN)/python -m pytest $(TESTS) -n 2 --dist loadfile -m "(scheduler or cluster or recipes) and not bench"

test-recipes: $(STAMP) ## every recipe with a planted law, whole, under Airflow: do its models win what can be won?
	@$(BIN)/python -m tests.recipes

check: $(STAMP) ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

reproduce: $(STAMP) ## VERSION=v1.0.0: make a version again from nothing, and compare bit for bit
	@test -n "$(VERSION)" || { echo "which version? make reproduce VERSION=v1.0.0 (git tag --list 'fused-model@*')"; exit 2; }
	@$(BIN)/python -m tasks.reproduce $(VERSION)

erase: $(STAMP) ## SAMPLES="id …": what would go; with REASON="why" YES=1: erase them everywhere
	@$(BIN)/python -m tasks.erase --reason "$(REASON)" $(if $(filter 1,$(YES)),--yes) $(if $(filter 1,$(IDLE)),--idle) -- $(SAMPLES)

gc: $(STAMP) ## what nothing needs any more; with YES=1: delete it
	@$(BIN)/python -m tasks.gc $(if $(filter 1,$(YES)),--yes) $(if $(filter 1,$(IDLE)),--idle)

chaos: $(STAMP) ## NIGHTS=20 SEED=0: kill anything, anytime, under real Airflow; every night must come to the same bytes
	@$(BIN)/python -m tests.chaos --nights $(or $(NIGHTS),20) --seed $(or $(SEED),0)

pictures: $(STAMP) ## the README's pictures of Airflow's UI, drawn anew in docs/ (two nights under Airflow; needs Debian's chromium)
	@NIGHTLOOM_PICTURES=$(CURDIR)/docs $(BIN)/python -m pytest tests/test_night.py

figures: $(STAMP) ## the sample scores for three seeds, measured here
	@$(BIN)/python -m tests.figures sample

bench-extract: $(STAMP) ## samples a second of profile and extract of every kind, beside what limits them (some five minutes)
	@$(BIN)/python -m tests.bench.extract

bench-helps: $(STAMP) ## what methods that are off by default are worth, each on planted cases (some ten minutes)
	@$(BIN)/python -m tests.bench.helps

bench-incremental: $(STAMP) ## what a night costs when little is new: 10,000 samples, then 100 (some twenty minutes)
	@$(BIN)/python -m tests.bench.incremental --out tests/bench/incremental.json

bench-select: $(STAMP) ## does select ever regret? every recipe, five seeds (an hour or two); LANDING=folder of real landing zones
	@$(BIN)/python -m tests.bench.regret $(if $(LANDING),--landing $(LANDING))

bench-nights: $(STAMP) ## SEEDS=100: planted faults, each stopped by the row that is meant for it? (an hour or two)
	@$(BIN)/python -m tests.nights --seeds $(or $(SEEDS),100)

bench-memory: $(STAMP) ## peak memory of stages at 20,000 and 100,000 samples; draws docs/memory.png
	@$(BIN)/python -m tests.bench.memory docs/memory.png

bench-overhead: $(STAMP) ## what Airflow and DVC cost over the stages' bare commands
	@$(BIN)/python -m tests.bench.overhead

bench-train: $(STAMP) ## end to end beside the usual research loop, and ten nights beside retraining each night (some five minutes)
	@$(BIN)/python -m tests.bench.train

scale: $(STAMP) ## what 10^6 to 10^10 samples would cost, from measured unit costs (docs/scale.md)
	@$(BIN)/python -m tests.bench.scale

# CUDA packages stay out of the lock: torch's own metadata brings them where they are wanted.
lock: ## compile requirements.lock anew from pyproject.toml (needs uv)
	@uv pip compile --quiet pyproject.toml --all-extras --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
		--constraint requirements.lock | grep -vE '^(nvidia-|cuda-|triton)' > requirements.lock.new
	@mv requirements.lock.new requirements.lock

# Values that may stand in a URL; Fernet's has a form of its own. Never overwrites: the databases were made with the old ones.
secrets: ## docker/.env with a fresh value for each secret of a cluster, once
	@test ! -e docker/.env || { echo "docker/.env is there already: its secrets are in use"; exit 1; }
	@umask 077; grep '=$$' docker/.env.example | while read -r name; do \
		size=48; test "$$name" != NIGHTLOOM_FERNET_KEY= || size=32; \
		echo "$$name$$(head -c $$size /dev/urandom | base64 -w 0 | tr '+/' '-_')"; done > docker/.env
	@echo "docker/.env holds the secrets, for you alone to read; Airflow's user is admin, its password NIGHTLOOM_ADMIN_PASSWORD"

clean: ## remove .venv and caches of tools; data, models and history stay
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.nightloom/*' -prune -exec rm -rf {} +
	@echo "kept: .nightloom/ (versions, data, models, Airflow's history) and data/ (what landed); delete them yourself if you mean it"
