# What people type. Everything real lives in manage.py, tools/ and .ci/.
#   make run [WATCH=dir] [PORT=8000] [HOST=127.0.0.1] [HOME_DIR=var] [AGENT=0]    make test    make lint

# the first Python that is new enough; without one, tools/install.py says what is missing
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
VENV_PYTHON := .venv/bin/python
WATCH ?=
HOST ?=
PORT ?=
HOME_DIR ?=
AGENT ?= 1
DEMO ?=
DATABASE_TESTS := tests/site tests/views tests/queries tests/pipes tests/sessions tests/blackbox
# arguments for pytest: make test ARGS="tests/views -k tombstone"
ARGS ?=
# processes that test side by side; most tests wait for servers, agents and browsers
JOBS ?= 2

.PHONY: run demo test test-postgres fuzz bench lint format lock install clean help

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: ## install what is missing, start everything, print the URL
	@exec $(PYTHON) manage.py up $(if $(WATCH),--watch "$(WATCH)") $(if $(HOST),--host "$(HOST)") $(if $(PORT),--port "$(PORT)") \
		$(if $(HOME_DIR),--home "$(HOME_DIR)") $(if $(filter 0,$(AGENT)),--no-agent) $(if $(DEMO),--demo)

demo: ## the same with a simulated fleet to look at
	@$(MAKE) --no-print-directory run DEMO=1

install: ## the development environment in .venv
	@$(PYTHON) tools/install.py dev >/dev/null

test: install ## every test
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(VENV_PYTHON) -m pytest -n $(JOBS) --dist loadfile $(ARGS)

test-postgres: install ## the tests that touch a database, on a PostgreSQL made for them
	@$(VENV_PYTHON) tools/postgres.py $(VENV_PYTHON) -m pytest -n $(JOBS) --dist loadfile \
		-m "not browser and not e2e" $(DATABASE_TESTS) $(ARGS)

fuzz: install ## property and schema tests, longer than in `make test`
	@HYPOTHESIS_PROFILE=fuzz $(VENV_PYTHON) -m pytest -m "fuzz or slow" --timeout 3600 $(ARGS)

bench: install ## every benchmark, one after the other
	@for script in bench/[a-z]*.py; do echo "== $$script"; $(VENV_PYTHON) $$script $(ARGS) || exit 1; done

lint: install ## what CI asks of every commit
	@$(VENV_PYTHON) tools/lint.py

format: install ## rewrite the code and the templates in the house style
	@$(VENV_PYTHON) -m ruff check --fix --quiet . ; $(VENV_PYTHON) -m ruff format . ; $(VENV_PYTHON) -m djlint --reformat --quiet templates || true

lock: install ## pin the newest versions that pyproject.toml allows (needs uv)
	@$(VENV_PYTHON) tools/lock.py

clean: ## remove caches and the environment, never the home
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis test-results
