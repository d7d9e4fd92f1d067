"""The servers that are measured: a durable PostgreSQL on disk, the portal as `make serve` runs it, and the bare application."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.client import HOST
from portal.config import Settings
from tests.support import postgres
from tests.support.server import ROOT, environment, free_port

PATIENCE_SECONDS = 60
WITHOUT = Path(__file__).parent / "without"
"""What a production installation does not have."""
SECRET_KEY = secrets.token_urlsafe(48)
"""Of this run only."""
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "2GB", "max_wal_size": "4GB"}
"""Nothing that was answered is lost. The memory holds the tables, which are 1.9 GB with a million consents (docs/operating.md)."""


@dataclass(frozen=True)
class Running:
    """A server that answers at `port`; `process` is the first of its processes."""

    port: int
    process: int


@dataclass(frozen=True)
class Postgres:
    """A server with the databases of this bench; `process` is the first of its processes."""

    directory: Path
    process: int

    def create(self, name: str) -> str:
        """The URL of a new and empty database."""
        with self.admin() as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return postgres.url(self.directory, name)

    def admin(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(postgres.url(self.directory), autocommit=True)

    @contextmanager
    def counting_statements(self) -> Iterator[list[int]]:
        """Let the server log each statement in the block; afterwards the list holds how many there were."""
        counted: list[int] = []
        log = self.directory / "log"
        self._log_statements("all")
        start = log.stat().st_size
        yield counted
        with log.open("rb") as lines:
            lines.seek(start)
            counted.append(sum(b"LOG:  statement: " in line or b"LOG:  execute " in line for line in lines))
        self._log_statements("none")

    def _log_statements(self, which: str) -> None:
        """Effective when this returns for every connection that the server makes or uses next."""
        with self.admin() as admin:
            admin.execute(f"ALTER SYSTEM SET log_statement = '{which}'")
            admin.execute("SELECT pg_reload_conf()")
        time.sleep(0.3)


def postgresql(directory: Path) -> Postgres:
    """Start PostgreSQL with its data below `directory`; it ends, and its data goes, when this process has ended."""
    place = postgres.start(os.getpid(), DURABLE, str(directory))
    return Postgres(place, int((place / "data" / "postmaster.pid").read_text().split()[0]))


@contextmanager
def portal(database_url: str, log: Path) -> Iterator[tuple[Running, Settings]]:
    """The portal in production mode, with the settings it runs on."""
    port = free_port()
    settings = production(database_url, port, documents_url=f"file:{log.with_suffix('.documents')}")
    with _granian(
        "app:app", port, {**environment(settings), "PYTHONPATH": str(WITHOUT), "MALLOC_ARENA_MAX": "2"}, log
    ) as running:
        yield running, settings


@contextmanager
def bare(log: Path) -> Iterator[Running]:
    """The bare application under the same server."""
    with _granian("bench.bare:app", free_port(), dict(os.environ), log) as running:
        yield running


def production(database_url: str, port: int, **changes: str) -> Settings:
    return Settings(database_url=database_url, issuer=f"http://{HOST}:{port}", secret_key=SECRET_KEY, **changes)  # type: ignore[arg-type]


@contextmanager
def _granian(target: str, port: int, environ: dict[str, str], log: Path) -> Iterator[Running]:
    """As `make serve` starts it."""
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(port), "--workers", "2"]
    command += ["--blocking-threads", "4", "--no-ws", "--respawn-failed-workers", "--workers-kill-timeout", "30"]
    command += ["--log-level", "warning", target]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(server, port, log)
        yield Running(port, server.pid)
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(PATIENCE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)  # its workers too
        server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if answers(port, "/readyz"):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server does not answer:\n{log.read_text(errors='replace')}")


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
