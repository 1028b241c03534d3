# Two commands do everything on a machine with Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3.11
DATA ?= oarlock

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch .venv/installed

.PHONY: demo test lint lock clean

# The main job on shipped data: DATA=oarlock (a simulated company, the default) or DATA=crm5.
demo: .venv/installed
	.venv/bin/oarlock --config configs/$(DATA).toml demo

# Everything but what is marked slow.
test: .venv/installed
	.venv/bin/python -m pytest -m "not slow"

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright

# What CI runs: also what is marked slow, and the signals on Spark, which needs Java.
.PHONY: test-all
test-all: .venv/installed
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.lock
	.venv/bin/python -m pytest $(ONLY)

# Pin again after a change of pyproject.toml; needs uv.
PIN = uv pip compile --python 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet
lock:
	$(PIN) --extra dev pyproject.toml -o requirements.lock
	$(PIN) --extra dev --extra spark pyproject.toml -o requirements-spark.lock
	$(PIN) --extra dev --extra rivals pyproject.toml -o requirements-rivals.lock

clean:
	rm -rf .oarlock
