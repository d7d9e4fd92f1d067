"""The production server, for tests that need real processes: granian with the portal, on a free port of this machine."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import httpx

from portal.config import Settings

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class LiveServer:
    """A portal that answers at `url`; `process` is its first process, `log` what it has written."""

    url: str
    settings: Settings
    process: subprocess.Popen[bytes]
    log: Path
    clients: ExitStack

    def client(self, **options: Any) -> httpx.Client:
        """A new client with a cookie jar and connections of its own, closed when the server ends."""
        return self.clients.enter_context(httpx.Client(base_url=self.url, timeout=30, trust_env=False, **options))


def free_port() -> int:
    with socket.socket() as asking:
        asking.bind((HOST, 0))
        return int(asking.getsockname()[1])


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
    command += ["--workers", str(workers), "--blocking-threads", "8", "--backlog", "1024", "--log-level", "warning", "app:app"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(settings), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    server = LiveServer(f"http://{HOST}:{port}", settings, process, log, ExitStack())
    try:
        _wait_until_ready(server, port)
        with server.clients:
            yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(server: LiveServer, port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        if _answers(port):
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
