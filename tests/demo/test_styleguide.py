from __future__ import annotations

from dataclasses import replace

from flask.testing import FlaskClient

from portal.config import Settings
from tests import conftest as shared


def test_the_style_guide_shows_the_real_rows_chart_and_line(browser: FlaskClient) -> None:
    page = browser.get("/styleguide")
    assert page.status_code == 200
    for part in (
        "access-row--paused",
        "access-row--ended",
        "part--ended",
        "chart-refused",
        "used-advice",
        "is-floating",
        "data-undo-seconds",
    ):
        assert part in page.text, part


def test_only_those_who_develop_see_it(settings: Settings) -> None:
    with shared._application(replace(settings, mode="demo")) as app:
        assert app.test_client().get("/styleguide").status_code == 404
