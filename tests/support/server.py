"""The production server, for tests that need real processes: granian with the portal, on a free port of this machine."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import httpx

from portal.config import Settings

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
PATIENCE_SECONDS = 60
PORTS = list(range(20_000, 32_000))


@dataclass(frozen=True)
class LiveServer:
    """A portal that answers at `url`; `process` is its first process, `log` what it has written."""

    url: str
    settings: Settings
    process: subprocess.Popen[bytes]
    log: Path
    clients: ExitStack

    def client(self, **options: Any) -> httpx.Client:
        """A new client with a cookie jar and connections of its own, closed after the test."""
        return self.clients.enter_context(httpx.Client(base_url=self.url, timeout=30, trust_env=False, **options))


def free_port() -> int:
    """A port that nobody holds and no connection leaves from: those come from higher ones, and could take it before its server."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as asking, suppress(OSError):
            asking.bind((HOST, port))
            PORTS.remove(port)
            return port


def environment(settings: Settings) -> dict[str, str]:
    """The variables that `Settings.from_environment` reads these settings from."""
    values = {field.name: str(getattr(settings, field.name)) for field in fields(settings)}
    named = {"DATABASE_URL" if name == "database_url" else f"PORTAL_{name.upper()}": text for name, text in values.items()}
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PORTAL_", "COV_CORE"))}
    return {**kept, **named, "PYTHONWARNINGS": "default"}


@contextmanager
def running(settings: Settings, log: Path, *, port: int, workers: int) -> Iterator[LiveServer]:
    """Run the portal until the block ends. Raises when it does not answer in time, with what it has written."""
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(port), "--no-ws"]
    command += ["--workers", str(workers), "--workers-kill-timeout", "3", "--blocking-threads", "4", "app:app"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(settings), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    server = LiveServer(f"http://{HOST}:{port}", settings, process, log, ExitStack())
    try:
        _wait_until_ready(server, port, workers)
        with server.clients:
            yield server
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever is left of it, workers too
        process.wait()


def _wait_until_ready(server: LiveServer, port: int, workers: int) -> None:
    """Wait for every worker, not just the first: a race needs them all, and granian loses the end of one still starting."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        if server.log.read_text(errors="replace").count("Started worker-") == workers and _answers(port):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server does not answer:\n{server.log.read_text(errors='replace')}")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class WarmServers:
    """One server of each kind of database that stays up from test to test, since starting one takes longer than most tests."""

    def __init__(self, start: Callable[[str], AbstractContextManager[LiveServer]]) -> None:
        self._start = start
        self._running: dict[str, LiveServer] = {}
        self._ends = ExitStack()

    def of(self, kind: str) -> LiveServer:
        """The server on this kind of database; a new one when the last test has ended it."""
        if kind not in self._running or self._running[kind].process.poll() is not None:
            self._running[kind] = self._ends.enter_context(self._start(kind))
        return self._running[kind]

    def close(self) -> None:
        self._ends.close()
