"""Processor time and memory of a tree of processes, as the kernel counts them in /proc."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
Spent = dict[tuple[int, int], int]
"""Nanoseconds on a processor by (process, thread)."""


def tree(roots: Iterable[int]) -> list[int]:
    """These processes with all their descendants."""
    parents = {}
    for stat in PROC.glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = list(roots)
    for process in found:
        found.extend(child for child, parent in parents.items() if parent == process)
    return found


def read(processes: Iterable[int]) -> Spent:
    """What each of their threads has spent so far. The scheduler's own count, since `stat` has steps of 10 ms."""
    spent: Spent = {}
    for process in processes:
        for schedstat in PROC.glob(f"{process}/task/*/schedstat"):
            with suppress(OSError):
                spent[process, int(schedstat.parent.name)] = int(schedstat.read_text().split()[0])
    return spent


def between(before: Spent, after: Spent) -> int:
    """Nanoseconds spent from one reading to the next."""
    return sum(nanoseconds - before.get(thread, 0) for thread, nanoseconds in after.items())


def resident_mb(process: int) -> float:
    """The memory a process holds now, in MB of a million bytes."""
    for line in (PROC / str(process) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"process {process} has no memory")
