# make install: the environment .venv, from the lock file; every other target makes it, too.
# make demo: the demo study, to its report. make lint: linters and types.
# make test: all tests but the large ones, which make test-large runs, and tests/cluster.
# make test-slow: those of these tests that draw random cases, with many more of them, in about an hour.
# make test-cluster: the tests on a real Slurm and a real Grid Engine, which they install as root.
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test test-large test-slow test-cluster lint docs lock clean

install: .venv/installed

demo: .venv/installed
	$(BIN)/snakemake --cores $(CORES) --rerun-incomplete

test: .venv/installed
	$(BIN)/python -m pytest -n $(CORES) -m "not large" $(PYTEST_OPTIONS)
	@echo "make test-large runs the large tests, and make test-cluster, as root, those on a real Slurm and Grid Engine"

test-large: .venv/installed
	$(BIN)/python -m pytest -n $(CORES) -m large $(PYTEST_OPTIONS)

test-slow: .venv/installed
	SLOW=1 $(BIN)/python -m pytest -n 2 --timeout=0 -m "many_cases or hypothesis" $(PYTEST_OPTIONS)

# The two schedulers are tested side by side: most tests train in one process, and wait for their scheduler.
test-cluster: .venv/installed
	$(BIN)/python -m pytest tests/cluster -n $(if $(filter 1,$(CORES)),1,2) $(PYTEST_OPTIONS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

docs: .venv/installed
	$(BIN)/python scripts/configuration.py --page docs/configuration.md --schema schemas/config.schema.json

# The environment is made again when the lock file changes, and after an installation that failed.
.venv/installed: envs/requirements.lock
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed; this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/requirements.lock
	touch $@

# Resolve envs/requirements.in again. uv writes one lock file for every Python and system, with the hash of each file.
lock:
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv
	.venv-lock/bin/uv pip compile --universal --upgrade --generate-hashes --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header envs/requirements.in -o envs/requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf results/demo logs/demo
