from __future__ import annotations

import re

import pytest

from tests.support.server import ROOT

CSS = (ROOT / "static" / "css" / "base.css").read_text()
ROOTS = re.findall(r":root \{(.*?)\n\s*\}", CSS, re.DOTALL)
LIGHT = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", ROOTS[0]))
DARK = LIGHT | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", ROOTS[1]))
GROUNDS = ("canvas", "surface", "sunk")
WORDS = [
    *((word, ground) for word in ("ink", "ink-soft", "accent", "accent-deep", "danger", "danger-deep", "wrong", "warn", "good") for ground in GROUNDS),
    ("on-accent", "accent"),
    ("on-danger", "danger"),
    *((word, f"{word}-wash") for word in ("danger", "wrong", "warn", "good")),
    ("accent-deep", "accent-wash"),
    *(("ink", f"{wash}-wash") for wash in ("accent", "danger", "wrong", "warn", "good")),
    ("surface", "ink"),
]  # fmt: skip
BORDERS = [
    ("line-strong", "surface"),
    ("line-strong", "canvas"),
    ("accent", "surface"),
    ("danger", "surface"),
    ("wrong", "surface"),
]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_black_on_white_is_twenty_one() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("pair", WORDS, ids=" on ".join)
def test_words_can_be_read(scheme: dict[str, str], pair: tuple[str, str]) -> None:
    assert contrast(scheme[pair[0]], scheme[pair[1]]) >= 4.5


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("pair", BORDERS, ids=" on ".join)
def test_the_edges_of_controls_can_be_seen(scheme: dict[str, str], pair: tuple[str, str]) -> None:
    assert contrast(scheme[pair[0]], scheme[pair[1]]) >= 3


def test_the_red_of_ending_things_tells_no_mistake() -> None:
    mistakes = [
        rule
        for file in sorted((ROOT / "static" / "css").glob("*.css"))
        for rule in re.findall(r"[^{}]*\{[^{}]*\}", file.read_text())
        if re.search(r"error|wrong|notice--danger", rule.partition("{")[0])
    ]
    assert len(mistakes) > 5 and not [rule for rule in mistakes if "--danger" in rule.partition("{")[2]]
