# Everything a developer runs. `make` lists it.
.POSIX:
.PHONY: help setup setup-dev setup-otel demo test gates check soak cover mutants live bench revision lock clean

VENV = .venv
PY = $(VENV)/bin/python
ARGS =

help:
	@echo 'make demo        set up, then the whole pipeline against vendor sandboxes   ARGS="--leads 100 --approve-all"'
	@echo 'make test        set up, then all tests but the long ones                   ARGS="tests/shared -x"'
	@echo 'make gates       format, lint, types, imports, sizes, generated docs'
	@echo 'make check       the gates, then the tests'
	@echo 'make setup       virtual environment in .venv, from requirements.lock       PYTHON=/path/to/python3.11'
	@echo 'make setup-dev   the same with what the tests and gates need'
	@echo 'make setup-otel  adds what traces need (docs/RUNBOOK.md, Traces)'
	@echo 'make soak        the long tests'
	@echo 'make cover       branch coverage of the safety kernel; fails under 100 %'
	@echo 'make mutants     deliberate breaks of the safety kernel, each of which the tests must notice'
	@echo 'make live        tests against staging accounts of the vendors; needs their keys'
	@echo 'make bench       measurements'
	@echo 'make revision    the next revision of the schema, from what its history lacks         ARGS="what it is about"'
	@echo 'make lock        resolve the lock files anew; needs uv'
	@echo 'make clean       remove the environment and caches; keeps .swarm, your data'

# The stamps make a second set-up instant; the development lock holds all of the other one.
setup: $(VENV)/setup.stamp
setup-dev: $(VENV)/setup-dev.stamp

$(VENV)/setup.stamp: requirements.lock pyproject.toml tools/setup.sh
	@PYTHON='$(PYTHON)' sh tools/setup.sh requirements.lock
	@touch $@

$(VENV)/setup-dev.stamp: requirements-dev.lock requirements.lock pyproject.toml tools/setup.sh
	@PYTHON='$(PYTHON)' sh tools/setup.sh requirements-dev.lock
	@touch $(VENV)/setup.stamp $@

# Beside what is there: nothing of it changes version.
setup-otel: setup
	@sh tools/setup.sh requirements-otel.lock

demo: setup
	@$(VENV)/bin/swarm demo $(ARGS)

test: setup-dev
	@$(PY) -m pytest -q $(ARGS)

gates: setup-dev
	@$(PY) tools/gates.py

check: setup-dev
	@$(PY) tools/gates.py --tests

soak: setup-dev
	@$(PY) -m pytest -q -n 0 -s -m soak $(ARGS)

# What decides whether something may happen, once, and proves it; and the tests that are about that, without those
# that take long and run nothing else. Some lines are for PostgreSQL only.
KERNEL = gate claim settlement doubt ledger switches suppression approval limits rings quota budgets rampup \
	halts verdicts halt_rules observed audit merkle verification
ABOUT_IT = approval audit audit_tampering breaker budgets gate halts hanging http ledger limits merkle rampup suppression switches \
	verdicts
CHOSEN = (not postgresql or somebody_may_still) and not flipped_byte and not the_command_keeps
cover: setup-dev
	@$(VENV)/bin/coverage run -m pytest -q -n 0 -k "$(CHOSEN)" tests/orchestrator/test_spool.py tests/orchestrator/test_unclear.py \
		$$(echo $(ABOUT_IT) | sed 's|[a-z_][a-z_]*|tests/shared/test_&.py|g')
	@$(VENV)/bin/coverage report --show-missing --skip-covered --fail-under=100 \
		--include=$$(echo $(KERNEL) | sed 's|[a-z_]*|shared/&.py|g; s| |,|g')

mutants: setup-dev
	@$(PY) -m tools.mutants $(ARGS)

live: setup-dev
	@$(PY) -m pytest -q -n 0 -s -m live $(ARGS) tests/live

bench: setup-dev
	@for file in bench/*.py; do $(PY) "$$file" $(ARGS) || exit 1; done

revision: setup-dev
	@$(PY) -m tools.revise $(ARGS)

# Universal: one file for every platform and Python. The address of the index stays out of the files.
LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	pyproject.toml --extra build
lock:
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra otel --constraint requirements.lock --output-file requirements-otel.lock
	$(LOCK) --extra otel --extra dev --constraint requirements-otel.lock --output-file requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage *.egg-info
	find shared servers orchestrator tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
