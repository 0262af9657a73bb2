# What a person or a CI does with speedtui. `make demo` and `make test` need a Python from 3.11 to 3.13 and nothing else.
# PYTHON=... names one; else the first that is at hand is taken.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# In the order of their files: by itself xdist keeps those with few tests, which are the longest, for the very end.
TESTS := $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: help install demo test test-slow lint check format bench screenshots recordings cast walk schema docs gpu-check clean
help:  ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(INSTALLED)  ## Make .venv with speedtui and everything its tests need

$(INSTALLED): pyproject.toml constraints.txt hatch_build.py
	@test -x $(BIN)/python || { python=$$(.ci/python $(PYTHON)) && "$$python" -m venv $(VENV); }
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,quantize,search,dev]'
	touch $@

demo: $(INSTALLED)  ## Tune and train a tiny model: the main job, in two minutes
	$(BIN)/speedtui demo

test: $(INSTALLED)  ## Run the tests, on all cores, without the slow ones
	$(TESTS) -m "not slow"

test-slow: $(INSTALLED)  ## Run the slow ones: runs that are killed or broken, real terminals, connections
	$(TESTS) -m slow

lint: $(INSTALLED)  ## Format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test test-slow  ## All of these

format: $(INSTALLED)  ## Format and mend what can be mended by itself
	$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format .

bench: $(INSTALLED)  ## Measure the figures in tests/bench, as ratios, into tests/bench/results
	$(BIN)/python -m pytest tests/bench -s --run-bench

recordings: $(INSTALLED)  ## Record the runs that pictures are made from, five minutes on a quiet machine
	$(BIN)/python -m tests.data.record tests/data/recordings

cast: $(INSTALLED)  ## Record the demo in a terminal as an asciicast
	$(BIN)/python -m tests.data.cast screenshots/demo.cast

walk: $(INSTALLED)  ## Walk through every screen by keyboard in a terminal, recorded as an asciicast
	$(BIN)/python -m tests.data.walk screenshots/walk.cast

screenshots: $(INSTALLED)  ## Draw every screen from recorded runs into screenshots/, or at SIZES into OUT
	$(BIN)/python -m speedtui.tui.screenshots tests/data/recordings $${OUT:-screenshots} $$SIZES

schema: $(INSTALLED)  ## Write the JSON Schema of the events from their types
	$(BIN)/python -m speedtui.engine.schema > engine/events.schema.json.new && mv engine/events.schema.json.new engine/events.schema.json

docs: $(INSTALLED)  ## Write docs/settings.md from the settings themselves
	$(BIN)/python -m speedtui.engine.config.described > docs/settings.md.new && mv docs/settings.md.new docs/settings.md

gpu-check:  ## On a CUDA machine: all that only a real GPU can tell, in two parts of less than five and seven minutes
	$${PYTHON_ON_GPU:-python3} tests/gpu/check.py

clean:  ## Remove what can be made again
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
