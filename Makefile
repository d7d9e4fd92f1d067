# What you can do here. A fresh machine needs python3 (3.11 or newer) and make; everything else is installed into .venv.
#   make demo         the portal with demo data, and the sample partner   (PORT=5000 PARTNER_PORT=5001 RESET=1)
#   make test         all tests, on SQLite, PostgreSQL and Chromium       (ARGS="tests/oauth -k replay")
#   make check        format, lint, types, layers, templates
#   make fix          what the formatter and the linter can repair by themselves
#   make bench        requests a second and CPU for each request, beside a bare Flask route
#   make serve        the production server, settings from the environment (HOST=127.0.0.1 PORT=8000 WORKERS=2, or 1 on SQLite)
#   make screenshots  every page at three widths, light and dark, into docs/screenshots/
#   make lock         write the lock files anew from pyproject.toml       (UPGRADE=1 for newer versions)

SHELL := /bin/sh
RUN := .venv/bin/python
CHECKED := app.py portal tests $(wildcard bench examples tools)
TYPED := app.py portal tests/conftest.py tests/support $(wildcard bench tools/*.py)
LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

.PHONY: demo test check fix bench serve screenshots lock

demo: .venv/installed-runtime
	@$(RUN) -m portal.demo

test: .venv/installed-everything
	@tools/chromium.sh
	@tools/nginx.sh
	@$(RUN) -m pytest -n auto --dist worksteal $(ARGS)

check: .venv/installed-everything
	.venv/bin/ruff format --check $(CHECKED)
	.venv/bin/ruff check $(CHECKED)
	.venv/bin/mypy $(TYPED)
	$(if $(wildcard examples/partner/*.py),MYPYPATH=examples/partner .venv/bin/mypy --no-warn-return-any examples/partner)
	.venv/bin/lint-imports
	.venv/bin/djlint --lint --quiet templates

fix: .venv/installed-everything
	.venv/bin/ruff check --fix $(CHECKED)
	.venv/bin/ruff format $(CHECKED)

bench: .venv/installed-everything
	@$(RUN) -m bench $(ARGS)

# Defaults are the shell's: a variable with one of make's own for one target would not reach the others from the environment.
serve: .venv/installed-runtime
	@$(RUN) -c "import app"  # a wrong setting is said once, not once for each worker
	@MALLOC_ARENA_MAX=2 exec $(RUN) -m granian --interface wsgi --host "$${HOST:-127.0.0.1}" --port "$${PORT:-8000}" \
		--workers "$${WORKERS:-$(if $(findstring postgresql,$(DATABASE_URL)),2,1)}" --blocking-threads 4 \
		--no-ws --respawn-failed-workers --workers-kill-timeout 30 --log-level warning app:app  # SQLite has one writer

screenshots: .venv/installed-everything
	@tools/chromium.sh
	@$(RUN) -m tools.screenshots

lock: .venv/installed-everything
	$(LOCK) --extra partner pyproject.toml --output-file requirements.txt
	$(LOCK) --all-extras --constraint requirements.txt pyproject.toml --output-file requirements-test.txt

.venv/installed-runtime: requirements.txt
	@tools/install.sh requirements.txt
	@touch $@

.venv/installed-everything: requirements-test.txt
	@tools/install.sh requirements-test.txt
	@touch $@
