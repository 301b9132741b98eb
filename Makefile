# make demo: the demo study, from nothing to its report. make test: all tests but those of make test-cluster, which brings
# up a real Slurm and a real Grid Engine as root. make install: the environment alone, .venv from the lock file, which
# each of the others sets up, too.
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test test-cluster lint docs lock clean

install: .venv/installed

demo: .venv/installed
	$(BIN)/snakemake --cores $(CORES) --rerun-incomplete

test: .venv/installed
	$(BIN)/python -m pytest -n $(CORES) $(PYTEST_OPTIONS)
	@echo "tests/cluster was left out: make test-cluster runs it, as root and where apt-get can install Slurm and Grid Engine"

# The two schedulers side by side, where there are cores for both.
test-cluster: .venv/installed
	$(BIN)/python -m pytest tests/cluster -n $(if $(filter 1 2 3,$(CORES)),1,2) $(PYTEST_OPTIONS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

docs: .venv/installed
	$(BIN)/python scripts/configuration.py --page docs/configuration.md --schema schemas/config.schema.json

# The lock file in the environment, made anew when it changes; a half-made one is made again.
.venv/installed: envs/requirements.lock
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed; this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/requirements.lock
	touch $@

# Resolves envs/requirements.in anew; uv writes one lock for every Python and system, with the hash of each one's files.
lock:
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv
	.venv-lock/bin/uv pip compile --universal --upgrade --generate-hashes --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header envs/requirements.in -o envs/requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf results/demo logs/demo
