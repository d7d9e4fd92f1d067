"""What is printed: one table, each line with its target and whether it was met."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from statistics import median

from bench.measure import Figures

GROWTH = 0.15
"""How much dearer a call may be on the larger tables, as a fraction."""
RESIDENT_MB = 120
DEMO_FIRST_SECONDS, DEMO_AGAIN_SECONDS = 60, 5
WRONG_SHOWN = 10

HEADINGS = (
    "call", "consents", "calls/s", "p50 ms", "p99 ms", "CPU µs", "bare µs", "multiple", "target", "growth", "statements", "",
)  # fmt: skip


def progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def table(measured: Sequence[Sequence[Figures]]) -> list[bool]:
    """Print the figures of each call at each size. Returns the verdicts."""
    lines: list[tuple[str, ...]] = [HEADINGS]
    verdicts = []
    named = {sizes[0].scenario.name: sizes for sizes in measured}
    for sizes in measured:
        for number, one in enumerate(sizes):
            like = named.get(one.scenario.like or "", [])[number:] or (sizes if number else [])
            grown = one.multiple / like[0].multiple - 1 if like and one.seconds else None
            good = bool(one.seconds) and one.multiple <= one.scenario.target and (grown is None or grown <= GROWTH)
            verdicts.append(good)
            lines.append(_line(one, grown, good=good))
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    for line in lines:
        first, *others = (text.rjust(width) for text, width in zip(line, widths, strict=True))
        print("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())
    print(f"\nCPU is of server and database together. A multiple is of the bare route’s; a growth of up to {GROWTH:.0%} is met.")
    return verdicts


def _line(one: Figures, grown: float | None, *, good: bool) -> tuple[str, ...]:
    if not one.seconds:
        return (one.scenario.name, f"{one.consents:,}", *("–",) * (len(HEADINGS) - 3), "NO RIGHT ANSWER")
    return (
        one.scenario.name,
        f"{one.consents:,}",
        f"{one.rate:,.0f}",
        f"{one.percentile(50):.1f}",
        f"{one.percentile(99):.1f}",
        f"{median(one.cpu):,.0f}",
        f"{median(one.bare):,.0f}",
        f"{one.multiple:.2f}",
        f"{one.scenario.target:.1f}",
        "" if grown is None else f"{grown:+.0%}",
        f"{one.statements:.2f}",
        "met" if good else "MISSED",
    )


def memory(workers: Sequence[float]) -> list[bool]:
    return [_said("resident in the largest worker", max(workers), RESIDENT_MB, "MB")]


def demo(first: float, again: float) -> list[bool]:
    return [
        _said("demo ready the first time, packages installed", first, DEMO_FIRST_SECONDS, "s"),
        _said("demo ready again", again, DEMO_AGAIN_SECONDS, "s"),
    ]


def _said(what: str, found: float, target: float, unit: str) -> bool:
    print(f"{what}: {found:.1f} {unit}, target {target} {unit}: {'met' if found <= target else 'MISSED'}")
    return found <= target


def wrong(answers: Sequence[str]) -> None:
    if answers:
        print(f"\n{len(answers)} WRONG ANSWERS, such as:", *dict.fromkeys(answers[:WRONG_SHOWN]), sep="\n  ")
