# make run     a receiver on port 11112 that stores into ./received
# make test    the tests (installs what they need)
# make check   lint and types
# make bench   the benchmark: all cells and receivers, about an hour
# make bench-quick  its main cells and receivers, two minutes
# make bench-ext4   the durable comparison, on a fresh ext4: needs root
# make bench-peers  install the receivers that it compares with
# make bench-micro  one step at a time; make bench-micro-compare: against the last time
# make fuzz    coverage-guided fuzzing, five minutes; FUZZ_SECONDS=3600 make fuzz: an hour
# make crash   500 kills, and power cuts at every moment of 400 histories: a quarter of an hour, needs strace
# make hostile 100,000 peers that come and go, and a newcomer in a crowd: three minutes
# make docs    the pages as a site, in build/docs
# make options docs/options.md, from the commands' own tables
# make conformance  docs/conformance.md, from storescp's defaults
# make build   sdist and wheel, in dist/

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RESULTS := build/benchmarks/results.json
FUZZ_SECONDS ?= 300

MICRO := -m pytest benchmarks/micro --benchmark-disable-gc --benchmark-group-by=group \
	--benchmark-sort=fullname --benchmark-columns=median,iqr,rounds

.PHONY: run test check lint types bench bench-quick bench-ext4 bench-peers bench-micro \
	bench-micro-compare fuzz crash hostile docs options conformance build dcmtk systemd chromium clean

run: $(INSTALLED)
	$(BIN)/python -m aiodicom.storescp 11112 -v -od received

test: $(INSTALLED) dcmtk systemd chromium
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: lint types

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

bench: $(VENV)/.bench bench-peers
	$(BIN)/python -m benchmarks run --json $(RESULTS)
	$(BIN)/python -m benchmarks report $(RESULTS) --to docs/benchmarks
	$(BIN)/python -m benchmarks goals $(RESULTS)

bench-ext4: $(VENV)/.bench bench-peers
	$(BIN)/python -m benchmarks run --ext4 --json $(RESULTS)
	$(BIN)/python -m benchmarks report $(RESULTS) --to docs/benchmarks

bench-quick: $(INSTALLED) dcmtk
	$(BIN)/python -m benchmarks run --quick --json build/benchmarks/quick.json
	$(BIN)/python -m benchmarks report build/benchmarks/quick.json

bench-peers: dcmtk
	@benchmarks/peers/install.sh

$(VENV)/.bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

bench-micro: $(INSTALLED)
	$(BIN)/python $(MICRO) --benchmark-autosave

bench-micro-compare: $(INSTALLED)
	$(BIN)/python $(MICRO) --benchmark-compare -W default

fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzzing run --seconds $(FUZZ_SECONDS)

$(VENV)/.fuzz: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@touch $@

crash: $(INSTALLED)
	$(BIN)/python -m tests.reliability.tracing
	$(BIN)/python -m tests.reliability.power_cuts 400
	$(BIN)/python -m tests.reliability.kills 500

hostile: $(INSTALLED)
	$(BIN)/python -m tests.hostile.cycles 100000
	$(BIN)/python -m tests.hostile.crowd 60

docs: $(INSTALLED)
	$(BIN)/python -m sphinx -W --keep-going -q -j auto docs build/docs

options: $(INSTALLED)
	$(BIN)/python -m tests.options_page

conformance: $(INSTALLED)
	@mkdir -p build
	$(BIN)/python -m aiodicom.conformance > build/conformance.md
	mv build/conformance.md docs/conformance.md

build: $(INSTALLED)
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist

dcmtk:
	@tests/need-dcmtk

systemd:
	@tests/need-systemd

chromium:
	@tests/need-chromium

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "aiodicom needs Python 3.11 or later: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli,dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
