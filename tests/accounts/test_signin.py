from __future__ import annotations

from flask.testing import FlaskClient

from tests.support.signin import Cast


def test_alice_signs_in_with_password_and_code(browser: FlaskClient, cast: Cast) -> None:
    answer = cast.sign_in(browser, cast.alice)
    assert (answer.status_code, answer.location) == (303, "/businesses")
