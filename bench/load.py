"""The load: a process of its own that calls over a few connections, checks each answer, and stops by itself."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from bench import scenarios
from bench.client import Connection, WrongError
from bench.world import Facts, Item

CONNECTIONS = 8


@dataclass
class Result:
    """What came of one pass. Only right answers count; `left` is what the next pass goes on with."""

    seconds: list[float] = field(default_factory=list)
    took: float = 0.0
    wrong: list[str] = field(default_factory=list)
    left: list[Item] = field(default_factory=list)
    size: int = 0
    """Bytes of the last answer, which the bare route is asked for."""


def run(scenario: str, facts: Facts, items: list[Item], count: int, seconds: float) -> Result:
    """Make `count` calls of a scenario, or as many as there are items for or as go into `seconds`."""
    result, waiting = Result(), deque(items)
    tickets = deque(range(min(count, len(items)) if scenarios.BY_NAME[scenario].spends else count))
    deadline = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_work, args=(scenario, facts, waiting, tickets, deadline, result)) for _ in range(CONNECTIONS)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.took, result.left = time.perf_counter() - started, list(waiting)
    return result


def _work(scenario: str, facts: Facts, waiting: deque[Item], tickets: deque[int], deadline: float, result: Result) -> None:
    """What one connection does."""
    call = scenarios.BY_NAME[scenario].call
    connection = Connection(facts.port)
    while tickets and time.monotonic() < deadline:
        try:
            tickets.popleft()
            item = waiting.popleft()
        except IndexError:
            break
        started = time.perf_counter()
        try:
            result.size, after = call(connection, facts, item)
        except (WrongError, ValueError, KeyError) as error:
            result.wrong.append(f"{type(error).__name__}: {error}")
        except OSError as error:
            result.wrong.append(f"{type(error).__name__}: {error}")
            break
        else:
            result.seconds.append(time.perf_counter() - started)
            waiting.extend(after)
    connection.close()
