"""A real S3-compatible server, for tests of the store of documents: moto's, in a process of its own on this machine."""

from __future__ import annotations

import http.client
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from tests.support.server import HOST, PATIENCE_SECONDS, free_port

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "only-tests", "AWS_SECRET_ACCESS_KEY": "only-tests-know-this"}
REGION = "us-east-1"


@dataclass(frozen=True)
class S3:
    """The server, with a bucket of its own for each test."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def make_bucket(self, name: str, *, through: str | None = None) -> str:
        """The setting that puts documents into a new bucket, reached `through` this endpoint when that is another."""
        assert self.ask("PUT", f"/{name}") == 200
        return f"s3://{name}/portal?endpoint_url={through or self.endpoint}&region={REGION}"

    def ask(self, method: str, path: str) -> int:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request(method, path, headers={"Authorization": f"AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/s3/x"})
            return connection.getresponse().status
        finally:
            connection.close()


@contextmanager
def running(log: Path) -> Iterator[S3]:
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", HOST, "-p", str(port)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    server = S3(port, process)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _answers(server):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"the S3 server does not answer:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
        yield server
    finally:
        process.kill()
        process.wait()


def _answers(server: S3) -> bool:
    try:
        return server.ask("GET", "/moto-api/data.json") == 200
    except OSError:
        return False


@dataclass
class Gate:
    """A way to the server on which whatever is put there waits until the gate is opened."""

    endpoint: str
    something_waits: Event = field(default_factory=Event)
    is_open: Event = field(default_factory=Event)


@contextmanager
def gate(server: S3) -> Iterator[Gate]:
    class Way(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((HOST, server.port)) as there, suppress(OSError):
                Thread(target=_pass_on, args=(there, self.request), daemon=True).start()
                while piece := self.request.recv(65536):
                    if piece.startswith(b"PUT "):
                        made.something_waits.set()
                        made.is_open.wait(PATIENCE_SECONDS)
                    there.sendall(piece)

    with socketserver.ThreadingTCPServer((HOST, 0), Way) as ways:
        ways.daemon_threads = True
        made = Gate(f"http://{HOST}:{ways.server_address[1]}")
        Thread(target=ways.serve_forever, daemon=True).start()
        try:
            yield made
        finally:
            made.is_open.set()
            ways.shutdown()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
