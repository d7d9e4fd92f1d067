from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from portal import ROOT
from portal.demo import launch
from portal.demo.launch import CannotStartError
from portal.demo.people import PEOPLE
from tests.support.server import free_port

PATIENCE_SECONDS = 60


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taking:
        taking.bind((launch.HOST, 0))
        taking.listen()
        yield taking.getsockname()[1]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    ports = {"PORT": str(free_port()), "PARTNER_PORT": str(free_port())}
    return {**kept, **ports, "DATABASE_URL": f"sqlite:///{tmp_path / 'demo.sqlite3'}"}


def run(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "portal.demo"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def refused_in_one_line(environ: dict[str, str]) -> str:
    done = run(environ)
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


@contextmanager
def started(environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The demo once it says who can sign in, and what it has said so far."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "portal.demo"], cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert demo.stdout is not None
    said = []
    try:
        for line in demo.stdout:
            said.append(line)
            if "Ctrl-C" in line:
                break
        yield demo, "".join(said)
    finally:
        if demo.poll() is None:
            demo.send_signal(signal.SIGINT)
            demo.wait(PATIENCE_SECONDS)
        demo.stdout.close()


def status_of(port: str, path: str) -> int:
    connection = http.client.HTTPConnection(launch.HOST, int(port), timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_port_is_the_usual_one_or_the_one_asked_for() -> None:
    usual, asked = free_port(), free_port()
    assert launch.port_of({}, "PORT", usual) == usual
    assert launch.port_of({"PORT": ""}, "PORT", usual) == usual
    assert launch.port_of({"PORT": str(asked)}, "PORT", usual) == asked


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "5000.0", "٥٠٠٠"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(CannotStartError, match="PORT must be a port number"):
        launch.port_of({"PORT": text}, "PORT", 5000)


def test_a_port_in_use_gets_one_line_that_says_what_to_do(environ: dict[str, str], taken_port: int) -> None:
    line = refused_in_one_line({**environ, "PORT": str(taken_port)})
    assert f"Port {taken_port} is in use" in line
    assert "make demo PORT=" in line


def test_one_port_for_both_is_refused(environ: dict[str, str]) -> None:
    assert "are both" in refused_in_one_line({**environ, "PARTNER_PORT": environ["PORT"]})


def test_starting_over_never_removes_other_peoples_data(environ: dict[str, str]) -> None:
    migrate = [sys.executable, "-m", "flask", "db", "upgrade"]
    subprocess.run(migrate, cwd=ROOT, env={**environ, "PORTAL_MODE": "demo"}, check=True, capture_output=True)
    engine = create_engine(environ["DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO users (id, email, given_name, family_name, created_at) VALUES ('x', 'x@y.example', 'X', 'Y', '2026-01-01')"
            )
        )
    for reset in ("0", "1"):
        assert "other people’s data" in refused_in_one_line({**environ, "RESET": reset})
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM users")) == 1
    engine.dispose()


def test_starting_over_is_for_files_only(environ: dict[str, str]) -> None:
    line = refused_in_one_line({**environ, "RESET": "1", "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"})
    assert "only an SQLite file" in line


def test_a_database_that_does_not_answer_gets_one_line(environ: dict[str, str]) -> None:
    assert "could not be prepared" in refused_in_one_line({**environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"})


def test_the_demo_runs_says_who_can_sign_in_and_ends_cleanly(environ: dict[str, str], tmp_path: Path) -> None:
    with started(environ) as (demo, said):
        assert status_of(environ["PORT"], "/readyz") == 200
        assert status_of(environ["PARTNER_PORT"], "/") == 200
        assert all(person.email in said for person in PEOPLE if person.can_sign_in)
        assert "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP" in said
        assert re.search(r"Code right now +\d{6} ", said)
        assert '"path": "/readyz"' in (tmp_path / "portal.log").read_text()
        demo.send_signal(signal.SIGINT)
        assert demo.wait(PATIENCE_SECONDS) == 0
    for port in (environ["PORT"], environ["PARTNER_PORT"]):
        with pytest.raises(OSError, match="refused"):
            status_of(port, "/")
    with started(environ) as (demo, said):
        assert "The demo data is there already." in said
        demo.terminate()
        assert demo.wait(PATIENCE_SECONDS) == 0
    remembered = tmp_path / "sample-partner" / "old.sqlite3"
    remembered.touch()
    added = tmp_path / "documents" / "acme" / "00" / ("00" * 32)
    added.parent.mkdir(parents=True)
    added.touch()
    with started({**environ, "RESET": "1"}) as (_demo, said):
        assert "Loaded 10 people" in said
        assert not remembered.exists() and not added.exists()
        assert any((tmp_path / "documents").glob("*/*/*"))


@pytest.mark.parametrize("named", ["before the command", "after it"])
def test_make_hands_on_the_ports_however_they_are_named(named: str) -> None:
    ports = {"PORT": "5600", "PARTNER_PORT": "5601"}
    first, last = (ports, []) if named == "before the command" else ({}, [f"{name}={port}" for name, port in ports.items()])
    told = subprocess.run(
        ["make", "--eval", "told: ; @echo $$PORT $$PARTNER_PORT", "told", *last],
        cwd=ROOT, env={"PATH": os.environ["PATH"], **first}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.split() == list(ports.values())
