"""The sample partner as a program, started as `make demo` starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.server import HOST, ROOT, free_port

PROGRAM = ROOT / "examples" / "partner" / "app.py"
PATIENCE_SECONDS = 60
TIMEOUT_SECONDS = 20.0
"""As long as no test waits for its end: on a busy machine an honest answer takes its time."""


@dataclass
class Partner:
    url: str
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "partner.log").read_text()

    def keeps(self, token: str) -> bool:
        """Whether the token is anywhere in its file."""
        (file,) = self.folder.glob("*.sqlite3")
        return token.encode() in file.read_bytes()


@contextmanager
def running(issuer: str, folder: Path, *, port: int | None = None, **environ: str) -> Iterator[Partner]:
    """The partner as `make demo` starts it, with every warning an error."""
    folder.mkdir(exist_ok=True)
    port = port or free_port()
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PORTAL_", "PARTNER_", "COV_CORE"))}
    own = {
        "PORTAL_ISSUER": issuer,
        "PARTNER_PORT": str(port),
        "PARTNER_INSTANCE": str(folder),
        "PARTNER_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
        "PYTHONWARNINGS": "error",
    }
    with (folder / "partner.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, PROGRAM], env=kept | own | environ, stdout=log, stderr=log, cwd=ROOT)
    partner = Partner(f"http://{HOST}:{port}", folder)
    try:
        _wait_until_ready(partner, process)
        yield partner
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _wait_until_ready(partner: Partner, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, partner.log
        try:
            if httpx.get(partner.url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(partner.log)
