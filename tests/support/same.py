"""Whether a fragment shows what the page shows, apart from what differs from one answer to the next."""

from __future__ import annotations

import re

from werkzeug.test import TestResponse

PASSING = re.compile(
    r'(?<=name="csrf_token" value=")[^"]*|(?<=data-undo-seconds=")\d+|(?<=for )\d+(?= seconds)| autofocus(?=[ >])'
)
"""The token holds the second in which it was signed; the seconds left to undo run; and only what follows a click has the focus."""


def shown(text: str) -> str:
    """What of an answer, or a part of one, stays the same when it is asked for again."""
    return " ".join(PASSING.sub("", text).split())


def row_of(answer: TestResponse) -> str:
    """The row of a table that a fragment begins with."""
    return shown(answer.text[answer.text.index("<tr") : answer.text.index("</tr>")])


def partial_of(answer: TestResponse, target: str) -> str:
    """What a fragment puts in the place of the element with this id besides."""
    return shown(answer.text.partition(f'<hx-partial id="{target}"')[2].partition(">")[2].partition("</hx-partial>")[0])
