from __future__ import annotations

import subprocess
import sys

from tests.support.server import ROOT


def test_every_call_of_the_bench_is_answered_rightly() -> None:
    """Speed is not looked at, so this only says that the bench still fits the portal."""
    command = [sys.executable, "-m", "bench", "--quick", "--calls", "24", "--passes", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "introspection" in done.stdout and "WRONG" not in done.stdout
