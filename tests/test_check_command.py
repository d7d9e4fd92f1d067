from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from portal import Portal, create_app
from portal.audit.models import AuditEvent
from portal.check import advice
from portal.clients.models import Client
from portal.config import DEMO_SECRET_KEY, Settings
from portal.oauth.models import SigningKey
from tests.conftest import SECRET_KEY
from tests.support.clock import Clock
from tests.support.server import ROOT, environment
from tests.support.signin import Cast

Transaction = Callable[[], AbstractContextManager[Session]]
FIT: dict[str, Any] = {
    "mode": "production",
    "issuer": "https://portal.example",
    "mail_url": "smtp://portal:hunter2@mail.example:587",
    "trusted_proxies": 1,
}


def check(app: Portal) -> Result:
    return app.test_cli_runner().invoke(args=["check"])


def faults(app: Portal) -> list[str]:
    """The lines of what is not fit, of a check that failed in one clear line."""
    done = check(app)
    assert done.exit_code == 1, done.output
    found = [line.removeprefix("Not fit: ") for line in done.stdout.splitlines() if line.startswith("Not fit: ")]
    assert done.stderr.strip() == f"Error: {len(found)} {'thing is' if len(found) == 1 else 'things are'} not fit for production."
    return found


@pytest.fixture
def new(settings: Settings) -> Iterator[Portal]:
    """A portal in production on a database that nobody has used."""
    app = create_app(replace(settings, **FIT))
    yield app
    app.extensions["portal-database"].dispose()


@pytest.fixture
def fit(cast: Cast, new: Portal) -> Portal:
    """A portal in production with the cast, whose signing keys were made just now."""
    assert new.test_cli_runner().invoke(args=["keys", "rotate"]).exit_code == 0
    return new


def test_a_portal_that_is_fit_passes_in_one_line(fit: Portal, database_kind: str) -> None:
    done = check(fit)
    lines = [line for line in done.output.splitlines() if not line.startswith("Advice: ")]
    # the tests' own PostgreSQL server may run without durability, which is what is told of it
    if done.exit_code:
        assert database_kind == "postgresql"
        assert all("PostgreSQL runs with" in line for line in lines if line.startswith("Not fit"))
        return
    assert len(lines) == 1 and lines[0].startswith("Fit for production")


def other_than_durability(app: Portal) -> list[str]:
    return [line for line in faults(app) if not line.startswith("PostgreSQL runs with")]


def test_sqlite_is_advised_against_for_several_workers(fit: Portal, database_kind: str) -> None:
    assert ("Advice: SQLite has one writer" in check(fit).output) == (database_kind == "sqlite")


def test_a_portal_that_is_not_in_production_is_told_what_is_insecure(app: Portal, cast: Cast) -> None:
    demo = create_app(replace(app.settings, mode="demo", secret_key=DEMO_SECRET_KEY, log_level="DEBUG", code_seconds=601))
    found = " ".join(faults(demo))
    for words in (
        "PORTAL_MODE is demo",
        "PORTAL_ISSUER is not https",
        "PORTAL_SECRET_KEY",
        "PORTAL_LOG_LEVEL",
        "PORTAL_CODE_SECONDS",
    ):
        assert words in found
    assert "PORTAL_MAIL_URL writes mail into a folder" in " ".join(advice(demo.settings, {}))
    assert DEMO_SECRET_KEY not in found
    demo.extensions["portal-database"].dispose()


def test_no_secret_is_printed(fit: Portal) -> None:
    output = check(fit).output
    assert fit.settings.secret_key not in output and "hunter2" not in output


def test_a_misspelt_setting_is_advised_of(fit: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_ISSUR", "https://portal.example")
    assert "Advice: PORTAL_ISSUR is not a setting" in check(fit).output


def test_a_verification_that_anybody_may_ask_for_is_advised_against(fit: Portal) -> None:
    for mode, key, is_advised in (("production", "", True), ("production", "k" * 40, False), ("demo", "", False)):
        told = " ".join(advice(replace(fit.settings, mode=mode, verify_key=key), {}))
        assert ("PORTAL_VERIFY_KEY" in told) is is_advised


def test_a_database_without_tables_is_told_of(empty_database_url: str) -> None:
    app = create_app(Settings(secret_key=SECRET_KEY, database_url=empty_database_url, **FIT))
    assert ["flask db upgrade" in line for line in faults(app)] == [True]
    app.extensions["portal-database"].dispose()


def test_a_database_that_does_not_answer_is_told_of_without_its_password() -> None:
    url = "postgresql://portal:hunter2@127.0.0.1:1/portal"
    app = create_app(Settings(secret_key=SECRET_KEY, database_url=url, **FIT))
    done = check(app)
    assert done.exit_code == 1 and "does not answer" in done.output and "hunter2" not in done.output
    app.extensions["portal-database"].dispose()


def test_a_schema_that_was_changed_by_hand_is_told_of(fit: Portal, transaction: Transaction) -> None:
    with transaction() as session:
        session.execute(text("ALTER TABLE clients ADD COLUMN colour VARCHAR(8)"))
    assert ["differs from what the code expects" in line for line in other_than_durability(fit)] == [True]


def test_old_keys_are_told_of(fit: Portal, clock: Clock, transaction: Transaction) -> None:
    with transaction() as session:
        session.execute(update(SigningKey).values(created_at=clock.now() - timedelta(days=91)))
    assert ["91 days old" in line and "flask keys rotate" in line for line in other_than_durability(fit)] == [True] * 3


def test_missing_keys_are_told_of(new: Portal) -> None:
    assert ["there is no signing key for" in line for line in other_than_durability(new)] == [True] * 3


def test_another_secret_key_is_told_of(fit: Portal) -> None:
    other = create_app(replace(fit.settings, secret_key=SECRET_KEY[::-1]))
    assert ["PORTAL_SECRET_KEY" in line for line in other_than_durability(other)] == [True]
    other.extensions["portal-database"].dispose()


def test_a_clock_that_is_behind_is_told_of(fit: Portal, clock: Clock, transaction: Transaction) -> None:
    with transaction() as session:
        session.add(AuditEvent(at=clock.now() + timedelta(hours=1), kind="key.rotated", detail={}))
    assert ["the clock is behind" in line for line in other_than_durability(fit)] == [True]


def test_a_logo_that_went_away_is_told_of(fit: Portal, cast: Cast, transaction: Transaction) -> None:
    with transaction() as session:
        session.execute(update(Client).where(Client.client_id == cast.ledgerly.client_id).values(logo="logos/gone.svg"))
    assert other_than_durability(fit) == ["the logo of the client ledgerly, logos/gone.svg, is not below static/."]


def test_static_files_that_cannot_be_read_are_told_of(fit: Portal, tmp_path: Path) -> None:
    fit.static_folder = str(tmp_path)
    assert "the static files are not there." in other_than_durability(fit)
    (tmp_path / "page.css").symlink_to(tmp_path / "nowhere.css")
    assert "the static file page.css cannot be read." in other_than_durability(fit)


def test_settings_on_which_the_portal_does_not_start_are_named_by_the_command_too() -> None:
    environ = environment(Settings(secret_key="short", issuer="http://portal.example"))
    done = subprocess.run(
        [sys.executable, "-m", "flask", "check"], cwd=ROOT, env={**environ, "PATH": os.environ["PATH"]}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and done.stdout == "" and done.stderr.count("\n") == 1
    assert "PORTAL_SECRET_KEY" in done.stderr and "PORTAL_ISSUER" in done.stderr


def test_the_command_explains_itself(app: Portal) -> None:
    assert "fit for production" in app.test_cli_runner().invoke(args=["check", "--help"]).output


def test_a_store_of_documents_that_cannot_be_written_is_told(fit: Portal) -> None:
    folder = Path(fit.settings.documents_url.removeprefix("file:"))
    assert "PORTAL_DOCUMENTS_URL" not in check(fit).output
    assert [file for file in folder.rglob("*") if file.is_file()] == []
    shutil.rmtree(folder)
    folder.write_text("in the way")
    assert [line for line in faults(fit) if "PORTAL_DOCUMENTS_URL" in line]


def test_a_scanner_that_is_not_there_is_told(fit: Portal) -> None:
    for command, is_there in (("/nowhere/clamdscan --quiet", False), (f"{sys.executable} -c pass", True), ("", True)):
        fit.settings = replace(fit.settings, scan_command=command)
        assert ("PORTAL_SCAN_COMMAND" in check(fit).output) != is_there
