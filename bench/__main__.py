"""`python -m bench`, which `make bench` runs: prints one table, and fails when an answer was wrong. See README.md."""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import cpu, demo, report, servers, world
from bench.measure import Bench, Figures, Site
from bench.scenarios import BY_NAME, SCENARIOS, Scenario

DISK = "/var/tmp"  # noqa: S108, where no system keeps files in memory
SMALL, LARGE = 1_000, 1_000_000
WARM, QUICK_WARM = 10_000, 300
"""Calls that a portal has answered before it is measured."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{SMALL:,} consents only, and fewer calls")
    parser.add_argument("--only", action="append", metavar="WORDS", help="only the calls whose name holds these words")
    parser.add_argument("--consents", type=int, default=LARGE, help="how many the larger tables hold (default: %(default)s)")
    parser.add_argument("--calls", type=int, help="calls in a pass (default: 600; quick: 300)")
    parser.add_argument("--passes", type=int, help="passes of each call (default: 7; quick: 3)")
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed, too")
    parser.add_argument("--demo", action="store_true", help="measure how soon the demo is ready, too")
    return parser.parse_args()


def main() -> int:
    """Returns the exit status: 1 for a wrong answer, and with --strict for a missed target."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    given = arguments()
    verdicts: list[bool] = []
    with tempfile.TemporaryDirectory(prefix="portal-bench-", dir=DISK) as place, running(given, Path(place)) as bench:
        Path(place).chmod(0o755)
        bench.warm(QUICK_WARM if given.quick else WARM)
        figures = [bench.measure(scenario) for scenario in chosen(given.only or [""])]
        verdicts += report.table(figures)
        wrong = [*(word for sizes in figures for one in sizes for word in one.wrong), *left_open(bench, figures)]
        verdicts += report.memory(
            [cpu.resident_mb(worker) for site in bench.sites for worker in cpu.tree([site.running.process])[1:]]
        )
    if given.demo:
        verdicts += report.demo(*demo.times())
    report.wrong(wrong)
    return 1 if wrong or (given.strict and not all(verdicts)) else 0


def chosen(words: list[str]) -> list[Scenario]:
    return [scenario for scenario in SCENARIOS if any(word in scenario.name for word in words)]


@contextmanager
def running(given: argparse.Namespace, place: Path) -> Iterator[Bench]:
    """Everything that is measured, until the block ends."""
    place.chmod(0o755)  # PostgreSQL may run as another user
    passes, calls = given.passes or (3 if given.quick else 7), given.calls or (300 if given.quick else 600)
    with ExitStack() as ends:
        database = servers.postgresql(place)
        sites = [
            ends.enter_context(site(database, size, place)) for size in ((SMALL,) if given.quick else (SMALL, given.consents))
        ]
        bare = ends.enter_context(servers.bare(place / "bare.log"))
        loader = ends.enter_context(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")))
        yield Bench(loader, database, bare, sites, passes, calls)


@contextmanager
def site(database: servers.Postgres, consents: int, place: Path) -> Iterator[Site]:
    """The portal on tables of this size."""
    started = time.monotonic()
    url = database.create(f"bench_{consents}")
    world.build(servers.production(url, 1, log_level="WARNING"), consents)
    report.progress(f"{consents:,} consents with their tokens in {time.monotonic() - started:.0f} s")
    with servers.portal(url, place / f"portal-{consents}.log") as (process, settings):
        yield Site(consents, process, settings)


def left_open(bench: Bench, figures: list[list[Figures]]) -> list[str]:
    """Revocation answers the same whatever it did, so this looks whether it did it."""
    revocations = [one for sizes in figures for one in sizes if one.scenario is BY_NAME["revocation"]]
    wrong = []
    for site, one in zip(bench.sites, revocations, strict=False):
        revoked = world.count_revoked(site.settings)
        if revoked != one.calls:
            wrong.append(f"{one.calls} tokens were revoked, and {revoked} are")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
