"""Waiting for what other processes do in their own time."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60


def eventually(found: Callable[[], object], wanted: object) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while found() != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found() == wanted
