"""How a figure comes about: short passes of the bare route and of the call in turn, so that what else goes on hits both."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from statistics import median, quantiles

from bench import cpu, load, world
from bench.bare import AROUND
from bench.load import Result
from bench.scenarios import BARE, WARMING, Scenario
from bench.servers import Postgres, Running
from bench.world import Facts, Item
from portal.config import Settings

PASS_SECONDS = 60
"""The longest that a pass may take; it ends by its count long before."""
COUNTED = 60
"""Calls that are made to count their statements."""


@dataclass(frozen=True)
class Site:
    """A portal at work on tables of one size."""

    consents: int
    running: Running
    settings: Settings

    @property
    def facts(self) -> Facts:
        return Facts(self.running.port, self.consents)


@dataclass
class Figures:
    """What was measured of one scenario at one size. CPU is of server and database, in microseconds a call."""

    scenario: Scenario
    consents: int
    bare: list[float]
    """Of all passes of the bare route between those of this scenario, whatever the size: it has no tables."""
    cpu: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    took: float = 0.0
    statements: float = 0.0
    calls: int = 0
    """All right answers, those that were not timed too."""
    wrong: list[str] = field(default_factory=list)

    @property
    def multiple(self) -> float:
        return median(self.cpu) / median(self.bare)

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.took if self.took else 0.0

    def percentile(self, percent: int) -> float:
        """Milliseconds."""
        return quantiles(self.seconds, n=100)[percent - 1] * 1000 if len(self.seconds) > 1 else 0.0


@dataclass(frozen=True)
class Bench:
    """Everything that runs, and how much is asked of it."""

    loader: ProcessPoolExecutor
    database: Postgres
    bare: Running
    sites: Sequence[Site]
    passes: int
    calls: int

    def warm(self, calls: int) -> None:
        """Make servers that have just started into servers at work, by this many calls.

        Each process of a database that has just started maps each page of the tables when it first meets it, and the first
        calls on a million consents meet some ten such pages.
        """
        for site in self.sites:
            self._run(WARMING, site.facts, world.items(WARMING.items, site.consents, calls), calls)

    def measure(self, scenario: Scenario) -> list[Figures]:
        """The figures of a scenario at each size, passes of all sizes in turn."""
        bare: list[float] = []
        figures = [Figures(scenario, site.consents, bare) for site in self.sites]
        most = self.calls * (self.passes + 1) + COUNTED
        items = [world.items(scenario.items, site.consents, most) for site in self.sites]
        size = 0
        for number, site in enumerate(self.sites):
            warm = self._load(site, items[number], max(1, self.calls // 2 // scenario.share), figures[number])
            items[number], size = warm.left, max(warm.size, AROUND)
        for _ in range(self.passes):
            for number, site in enumerate(self.sites):
                bare.append(self._bare(size, figures[number]))
                items[number] = self._pass(site, items[number], figures[number])
        for number, site in enumerate(self.sites):
            with self.database.counting_statements() as counted:
                done = self._load(site, items[number], COUNTED, figures[number])
            figures[number].statements = counted[0] / max(1, len(done.seconds))
        return figures

    def _pass(self, site: Site, items: list[Item], figures: Figures) -> list[Item]:
        processes = cpu.tree([site.running.process, self.database.process])
        before = cpu.read(processes)
        result = self._load(site, items, max(1, self.calls // figures.scenario.share), figures)
        spent = cpu.between(before, cpu.read(cpu.tree(processes[:2])))
        figures.cpu.append(spent / 1000 / max(1, len(result.seconds)))
        figures.seconds += result.seconds
        figures.took += result.took
        return result.left

    def _bare(self, size: int, figures: Figures) -> float:
        processes = cpu.tree([self.bare.process])
        before = cpu.read(processes)
        items = [Item(size, "")] * load.CONNECTIONS
        result = self._run(BARE, Facts(self.bare.port, 0), items, self.calls * 2)
        figures.wrong += result.wrong
        return cpu.between(before, cpu.read(processes)) / 1000 / max(1, len(result.seconds))

    def _load(self, site: Site, items: list[Item], count: int, figures: Figures) -> Result:
        result = self._run(figures.scenario, site.facts, items, count)
        figures.calls += len(result.seconds)
        figures.wrong += result.wrong
        return result

    def _run(self, scenario: Scenario, facts: Facts, items: list[Item], count: int) -> Result:
        return self.loader.submit(load.run, scenario.name, facts, items, count, PASS_SECONDS).result()
