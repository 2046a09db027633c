# Every target does its own set-up. Another Python: PYTHON=python3.12 make setup. GNU make 3.81 and newer.

PYTHON ?= python3
BIN := .venv/bin
CAPSTONE := notebooks/09_your_turn.ipynb
# By hand: gpu.py needs a CUDA card and nanogpt.py the folder of a checkout of nanoGPT; explorer_load.py and
# study_engines.py take a quarter of an hour each.
BY_HAND := common.py explorer_load.py gpu.py nanogpt.py study_engines.py
BENCHMARKS := $(filter-out $(addprefix benchmarks/,$(BY_HAND)),$(wildcard benchmarks/*.py))

STUDIES := $(if $(STUDY),studies/$(STUDY).toml,$(wildcard studies/*.toml))

.PHONY: help setup demo explore lab notebooks student-copies site study study-full study-report test test-live bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

setup: .venv/installed ## make .venv and install everything into it, only when something changed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "pgce_mini needs Python 3.11 or newer, which $(PYTHON) is not: name one, as in PYTHON=python3.12 make setup" >&2; \
	    exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all]"
	@touch $@

demo: setup ## the main job: two trainings an arm, a table and a report
	$(BIN)/pgce demo

explore: setup ## serve the explorer and print its address
	$(BIN)/pgce explore

lab: setup ## open the notebooks
	$(BIN)/pgce lab

study: setup ## a small study: three arms, two controls, three seeds, at most 8 minutes
	$(BIN)/pgce study --quick

notebooks: setup ## run every notebook and save it with its outputs; needs Chrome or Chromium for the pictures
	$(BIN)/python notebooks/build.py

student-copies: setup ## the notebooks for a class, without solutions and outputs; to another place: TO=folder
	$(BIN)/python notebooks/student_copies.py $(TO)

site: setup ## write the site into site/: playground, notebooks, study, reference as pages
	$(BIN)/pgce site

# Hours. An interrupted study continues, and rows that are in its table are not run again. pgce catches Ctrl-C and leaves
# with 130: bash would go on with the next study.
study-full: setup ## run the rows that the shipped tables lack, of all studies or of one, as in STUDY=long
	@status=0; for spec in $(STUDIES); do \
	    $(BIN)/pgce study $$spec --results pgce_mini/shipped/results || { \
	        code=$$?; [ $$code -lt 128 ] || exit $$code; status=1; }; \
	done; $(BIN)/pgce study --report docs --results pgce_mini/shipped/results; exit $$status

study-report: setup ## write docs/study.md from the tables that are there
	$(BIN)/pgce study --report docs --results pgce_mini/shipped/results

# Two workers of one thread each (tests/conftest.py), a file to a worker; for the browser tests each starts an explorer. The
# capstone runs alone: it starts two processes of its own.
test: setup ## run every check that CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile --ignore tests/e2e
	$(BIN)/pytest -n 2 --dist loadfile --nbval --nbval-current-env notebooks --ignore $(CAPSTONE)
	$(BIN)/pytest --nbval --nbval-current-env $(CAPSTONE)
	$(BIN)/pytest -n 2 --dist loadfile tests/e2e -m "not live"

test-live: setup ## the browser tests of live training, which want a machine to themselves
	$(BIN)/pytest tests/e2e -m live

bench: setup ## run the benchmarks but for the four by hand; fails when one misses its target
	@status=0; for script in $(BENCHMARKS); do \
	    echo "== $$script"; $(BIN)/python $$script || status=1; \
	done; exit $$status

clean: ## remove .venv, caches and build leftovers; runs/ stays
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
