"""How soon `make demo` is ready once its packages are installed: the first time, and with its data there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.servers import answers
from tests.support.server import ROOT, free_port

PATIENCE_SECONDS = 120


def times() -> tuple[float, float]:
    """Seconds until portal and sample partner both answer, on an empty directory and again on the same one."""
    with tempfile.TemporaryDirectory(prefix="portal-bench-demo-") as place:
        return _start(Path(place)), _start(Path(place))


def _start(place: Path) -> float:
    ports = free_port(), free_port()
    environ = {**os.environ, "PORT": str(ports[0]), "PARTNER_PORT": str(ports[1])}
    environ["DATABASE_URL"] = f"sqlite:///{place}/portal.sqlite3"
    started = time.monotonic()
    running = subprocess.Popen(
        [sys.executable, "-m", "portal.demo"], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        while not (answers(ports[0], "/readyz") and answers(ports[1], "/")):
            if running.poll() is not None or time.monotonic() - started > PATIENCE_SECONDS:
                raise RuntimeError("the demo did not get ready")
            time.sleep(0.05)
        return time.monotonic() - started
    finally:
        running.send_signal(signal.SIGINT)
        running.wait()
