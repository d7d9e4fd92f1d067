from __future__ import annotations

import json
import re

import pytest
from werkzeug.test import TestResponse

from portal import Portal, logs


@pytest.mark.settings(log_level="INFO")
def test_the_line_that_says_why_a_page_is_refused_has_the_reference_of_the_page(
    app: Portal, capfd: pytest.CaptureFixture[str]
) -> None:
    page = open_logged(app, "/nowhere")
    assert references(capfd) == dict.fromkeys(("refused", "request"), shown(page))


@pytest.mark.parametrize(
    "level", [pytest.param(level, marks=pytest.mark.settings(log_level=level)) for level in ("WARNING", "ERROR")]
)
def test_the_reference_of_a_bug_is_in_the_log_however_little_it_tells(
    app: Portal, level: str, capfd: pytest.CaptureFixture[str]
) -> None:
    app.add_url_rule("/boom", "boom", _boom)
    page = open_logged(app, "/boom")
    assert references(capfd) == dict.fromkeys(("bug", "refused"), shown(page))


def open_logged(app: Portal, path: str) -> TestResponse:
    logs.init_logs(app.settings)  # once more, since the log goes to the standard error of then
    return app.test_client().get(path)


def references(capfd: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The reference number on each line of the log, by its event."""
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    return {line["event"]: line["request_id"] for line in lines}


def shown(page: TestResponse) -> str:
    found = re.search(r"Reference <code>([^<]+)</code>", page.text)
    assert found is not None and page.headers["X-Request-Id"] == found[1]
    return found[1]


def _boom() -> str:
    raise RuntimeError("a bug")


@pytest.mark.parametrize(
    "event",
    [
        {"password": "correct horse"},
        {"code": "correct horse"},
        {"authorization": "Basic correct horse"},
        {"event": "presented cpat_correct-horse-battery"},
        {"path": "/callback?code=cpac_correct-horse-battery"},
        {"event": "refresh cprt_correct-horse-battery ended"},
        {"event": "an ID token eyJcorrect-horse.eyJcorrect.horse"},
    ],
)
def test_a_log_line_holds_no_secret(event: dict[str, str]) -> None:
    assert "horse" not in str(logs.redact(None, "info", dict(event)))
