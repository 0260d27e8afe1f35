# What users and developers type. Everything runs in .venv; nothing needs root.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
MANAGE := $(BIN)/python manage.py

.PHONY: demo up install test test-sqlite test-sqlite-running test-sqlite-rest test-postgres check chart format lock docs chaos bench bench-logs bench-kept bench-delivery bench-cluster bench-spans bench-pages bench-traces bench-tracing wheels image servers clean help

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: .venv/.base ## start the platform, run a real job, stay up until Ctrl-C (ONCE=1: end after the job)
	@TOWLINE_MODE=development $(MANAGE) demo $(if $(ONCE),--once)

up: .venv/.base ## the platform, supervised, until Ctrl-C
	@$(MANAGE) up

install: .venv/.dev ## just the environment, with what development needs

.venv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit("Towline needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt

# A file for what is installed: the second start looks at two time stamps and goes on.
.venv/.base: requirements/base.txt requirements/bootstrap.txt | .venv/bin/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements/base.txt
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml .venv/.base
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# Most of their time tests wait for a platform, so that two parts at once take little longer than one; each has a data folder,
# servers and platforms of its own. What they say goes into files meanwhile.
PARTS := test-sqlite-running test-postgres test-sqlite-rest
SAID := .pytest_cache/said
test: .venv/.dev ## all tests, on SQLite and on PostgreSQL
	@mkdir -p $(SAID); echo 'Three parts, two at once, each told when it is over. As they go: tail -f $(SAID)/*.txt'
	@$(MAKE) --no-print-directory --jobs=2 --keep-going $(PARTS:%=told-%)

told-%:
	@export PYTHONUNBUFFERED=1; $(MAKE) --no-print-directory $* > $(SAID)/$*.txt 2>&1; code=$$?; cat $(SAID)/$*.txt; exit $$code

test-sqlite: .venv/.dev
	$(BIN)/python -m pytest --database sqlite $(ARGS)

RUNNING := tests/system tests/chaos
test-sqlite-running: .venv/.dev
	$(BIN)/python -m pytest --database sqlite $(RUNNING) $(ARGS)

test-sqlite-rest: .venv/.dev
	$(BIN)/python -m pytest --database sqlite tests $(RUNNING:%=--ignore=%) $(ARGS)

# What says nothing of the database ran with the other one: drivers, drills, engines and clusters that stop, pages, images.
ONCE_ONLY := drills engine_faults docker_jobs kubernetes_faults kubernetes_disruptions kubernetes_queue two_clusters commands_suite readme
test-postgres: .venv/.dev
	$(BIN)/python -m pytest --database postgres tests/flows tests/system tests/chaos/test_chaos.py $(ONCE_ONLY:%=--ignore=tests/system/test_%.py) $(ARGS)

check: .venv/.dev chart ## format, lint, types, import contracts, migrations, chart, container and shell linters
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) document --check
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml jobs workers tracing platform
	$(BIN)/djlint --quiet --lint jobs workers tracing platform
	$(BIN)/yamllint --strict .
	$(BIN)/shellcheck .ci/run docker/*.sh docker/servers/start-postgres
	$(BIN)/hadolint docker/Dockerfile docker/servers/Dockerfile

chart: .venv/.dev ## render the chart and check what comes out (SNAPSHOTS=write: then look at what changed)
	$(BIN)/python -m pytest --database sqlite --quiet tests/unit/charts

format: .venv/.dev ## mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/bin/uv ## compile the hashed locks from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/base.txt $(ARGS)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra s3 -c requirements/base.txt -o requirements/s3.txt $(ARGS)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --group dev -c requirements/base.txt -o requirements/dev.txt $(ARGS)
	echo uv | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate - -o requirements/bootstrap.txt $(ARGS)

docs: .venv/.dev ## make what is generated: the OpenAPI schema, the settings table, the state diagrams
	$(MANAGE) document

chaos: .venv/.dev ## break the platform for SECONDS (600), by a SEED, on DATABASE (sqlite); ARGS=--chaos-json=FILE keeps the figures
	$(BIN)/python -m pytest --database $(or $(DATABASE),sqlite) tests/chaos/test_chaos.py --chaos-seconds $(or $(SECONDS),600) $(if $(SEED),--chaos-seed $(SEED)) $(ARGS)

bench: .venv/.dev ## how fast, against docker run and the SDK, in one run
	$(BIN)/python -m benchmarks.overhead

bench-kept: .venv/.dev ## finished logs: size, random access and search, beside gzip, zstd and grep (GB=1)
	$(BIN)/python -m benchmarks.kept_logs --gigabytes $(or $(GB),1)

bench-logs: .venv/.dev ## how fast output is stored, against docker logs -f; some minutes
	$(BIN)/python -m benchmarks.collection $(ARGS)

bench-delivery: .venv/.dev ## how soon a line reaches those who follow it: 20 jobs, 100 followers (ARGS=--help)
	$(BIN)/python -m benchmarks.delivery $(ARGS)

bench-pages: .venv/.dev ## how soon the page of a trace of 3,000 spans is on the screen, in Chromium (ARGS=--help)
	$(BIN)/python -m benchmarks.pages $(ARGS)

bench-traces: .venv/.dev ## questions asked of a hundred thousand executions' traces; some minutes, ROUNDS by ARGS
	$(BIN)/python -m benchmarks.questions $(ARGS)

bench-tracing: .venv/.dev ## what tracing adds to an execution, beside a platform that does not trace
	$(BIN)/python -m benchmarks.tracing $(ARGS)

bench-cluster: .venv/.dev ## what a job costs over kubectl run, and a hundred pods one worker, on the cluster of KUBECONFIG
	$(BIN)/python -m benchmarks.cluster $(ARGS)

bench-spans: .venv/.dev ## how many spans a second the writer takes, and the table, on a PostgreSQL of its own (ARGS=--help)
	$(BIN)/python -m benchmarks.spans $(ARGS)

wheels: .venv/.base ## what the image installs, fetched by this machine's pip, for builds that reach no index (BASE_IMAGE=, EXTRA=s3)
	docker/fetch-wheels.sh $(or $(BASE_IMAGE),python:3.13-slim-bookworm) $(or $(EXTRA),base)

image: ## the image of all roles, towline:latest (BASE_IMAGE=, EXTRA=s3)
	docker build --file docker/Dockerfile --tag $(or $(IMAGE),towline:latest) \
	  $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) $(if $(EXTRA),--build-arg EXTRA=$(EXTRA)) --build-arg PIP_INDEX_URL \
	  --build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) --build-arg REVISION=$$(git rev-parse HEAD) .
	@docker image inspect --format '$(or $(IMAGE),towline:latest): {{.Size}} bytes' $(or $(IMAGE),towline:latest)

servers: ## what stands in for PostgreSQL, Redis and HAProxy where no registry is reached, towline/servers:12 (BASE_IMAGE=)
	docker build --network host $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) --tag $(or $(SERVERS),towline/servers:12) docker/servers

clean: ## remove the environment and the data folder
	rm -rf .venv .towline
