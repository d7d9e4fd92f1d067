"""Starting and ending the programs of the demo: ports that are free, servers that answer, and none left behind."""

from __future__ import annotations

import http.client
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
PATIENCE_SECONDS = 45
GRACE_SECONDS = 5
LAST_LINES = 12


class CannotStartError(Exception):
    """Why the demo does not run, in one line that says what to do."""


def port_of(environ: Mapping[str, str], variable: str, usual: int) -> int:
    """The port that the environment asks for, free to use. Raises CannotStartError."""
    text = environ.get(variable) or str(usual)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise CannotStartError(f"{variable} must be a port number from 1 to 65535, not {text!r}.")
    port = int(text)
    if not _is_free(port):
        other = port + 10 if port < 65525 else port - 10
        raise CannotStartError(
            f"Port {port} is in use. End the program that uses it, or choose another: make demo {variable}={other}"
        )
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1)
        if asking.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as taking:
        taking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taking.bind((HOST, port))
        except OSError:
            return False
    return True


@dataclass
class Server:
    """One program of the demo: what it is called, where it answers, and where it writes."""

    name: str
    port: int
    path: str
    log: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, name: str, command: Sequence[str], *, port: int, path: str, log: Path, environ: Mapping[str, str]) -> Server:
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603, our own programs
                command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=dict(environ)
            )
        return cls(name, port, path, log, process)

    def wait_until_ready(self) -> None:
        """Return when it answers 200. Raises CannotStartError when it ends or takes too long, with its last words."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.has_ended():
                raise CannotStartError(f"The {self.name} ended at once. Its last lines, from {self.log}:\n{self._last_lines()}")
            if self._answers():
                return
            time.sleep(0.05)
        raise CannotStartError(f"The {self.name} did not answer within {PATIENCE_SECONDS} seconds; see {self.log}.")

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> None:
        """End it, politely first."""
        if self.has_ended():
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", self.path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])


def portal_command(port: int) -> list[str]:
    """The production server, with one worker since SQLite has one writer; it is gone within the patience of `Server.stop`."""
    server = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(port)]
    return [
        *server,
        "--workers",
        "1",
        "--workers-kill-timeout",
        "3",
        "--blocking-threads",
        "4",
        "--no-ws",
        "--log-level",
        "warning",
        "app:app",
    ]


def partner_command(root: Path) -> list[str]:
    return [sys.executable, str(root / "examples" / "partner" / "app.py")]


def wait_while_running(servers: Sequence[Server], on_enter: Callable[[], None]) -> None:
    """Return never; KeyboardInterrupt passes through. Raises CannotStartError when one of the servers ends by itself."""
    listening = sys.stdin is not None and sys.stdin.isatty()
    while True:
        for server in servers:
            if server.has_ended():
                raise CannotStartError(f"The {server.name} has ended; see {server.log}.")
        if not listening:
            time.sleep(0.3)
        elif select.select([sys.stdin], [], [], 0.3)[0]:
            listening = sys.stdin.readline() != ""
            on_enter()


def let_nothing_interrupt() -> None:
    """While the programs are ended, which takes seconds: a second Ctrl-C would leave one of them running."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def on_terminate_as_on_ctrl_c() -> None:
    """Ctrl-C, too: what a shell starts in the background would be deaf to it."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
