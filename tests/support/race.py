"""Many at once: threads that wait for each other and then all go."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

Answer = TypeVar("Answer")


def at_once(count: int, act: Callable[[int], Answer]) -> list[Answer]:
    """Call `act(0)` to `act(count - 1)` at the same moment, each in a thread of its own. Raises what the first of them raises."""
    together = Barrier(count)

    def go(number: int) -> Answer:
        together.wait(30)
        return act(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(go, range(count)))
