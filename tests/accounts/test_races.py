from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor, wait

import httpx
import pyotp
import pytest
from sqlalchemy import func, select

from portal import Portal, db
from portal.accounts import sessions, users
from portal.accounts.models import BrowserSession, RecoveryCode, Throttle, User
from portal.accounts.signin import Checked, accept_password, complete
from tests.accounts.conftest import Stage, Transaction
from tests.support.cast import ALICE, DANA, PASSWORD, TOTP_SECRET
from tests.support.race import at_once
from tests.support.server import LiveServer
from tests.support.signin import Cast

pytestmark = pytest.mark.race

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def token(page: httpx.Response) -> str:
    found = TOKEN.search(page.text)
    assert found is not None, page.text
    return found[1]


def send_password(client: httpx.Client, email: str, password: str) -> httpx.Response:
    page = client.get("/login")
    return client.post("/login", data={"csrf_token": token(page), "email": email, "password": password})


def at_the_code(live_server: LiveServer) -> tuple[httpx.Client, str]:
    """A browser whose password was right, and the token of its code page."""
    client = live_server.client()
    assert send_password(client, ALICE.email, PASSWORD).headers["Location"] == "/login/mfa"
    return client, token(client.get("/login/mfa"))


def signed_in(transaction: Transaction) -> int:
    with transaction() as session:
        return session.scalar(select(func.count()).where(BrowserSession.user_id.is_not(None))) or 0


def test_one_code_in_ten_browsers_at_once_signs_in_one(live_server: LiveServer, transaction: Transaction) -> None:
    browsers = [at_the_code(live_server) for _ in range(10)]
    code = pyotp.TOTP(TOTP_SECRET).now()

    def verify(number: int) -> int:
        client, csrf_token = browsers[number]
        return client.post("/login/mfa", data={"csrf_token": csrf_token, "code": code}).status_code

    answers = at_once(10, verify)
    assert answers.count(303) == 1 and set(answers) <= {303, 400, 429}
    assert signed_in(transaction) == 1


def test_one_code_ten_times_at_once_in_one_browser_signs_in_once(live_server: LiveServer, transaction: Transaction) -> None:
    client, csrf_token = at_the_code(live_server)
    code, cookie = pyotp.TOTP(TOTP_SECRET).now(), client.cookies["session"]

    def verify(_number: int) -> str:
        with httpx.Client(base_url=live_server.url, timeout=30, trust_env=False, cookies={"session": cookie}) as again:
            answer = again.post("/login/mfa", data={"csrf_token": csrf_token, "code": code})
        assert answer.status_code < 500
        return answer.headers.get("Location", "")

    assert at_once(10, verify).count("/businesses") == 1
    assert signed_in(transaction) == 1


def test_one_recovery_code_at_once_signs_in_one(live_server: LiveServer, transaction: Transaction, stage: Stage) -> None:
    code = stage.recovery_codes(ALICE)[0]
    browsers = [at_the_code(live_server) for _ in range(6)]

    def verify(number: int) -> int:
        client, csrf_token = browsers[number]
        return client.post("/login/recovery", data={"csrf_token": csrf_token, "code": code}).status_code

    answers = at_once(6, verify)
    assert answers.count(303) == 1 and set(answers) <= {303, 400}
    with transaction() as session:
        assert session.scalar(select(func.count()).where(RecoveryCode.used_at.is_not(None))) == 1


def test_many_wrong_passwords_at_once_get_no_more_tries_than_the_limit(live_server: LiveServer, transaction: Transaction) -> None:
    browsers = [live_server.client() for _ in range(20)]
    tokens = [token(client.get("/login")) for client in browsers]

    def guess(number: int) -> int:
        fields = {"csrf_token": tokens[number], "email": DANA.email, "password": f"guess {number}"}
        return browsers[number].post("/login", data=fields).status_code

    answers = at_once(20, guess)
    assert set(answers) <= {400, 429, 503}
    assert answers.count(400) <= 10
    with transaction() as session:
        counts = sorted(session.scalars(select(Throttle.failures)))
    assert counts == [20 - answers.count(503)] * 2 or answers.count(503) > 0


def test_many_wrong_codes_at_once_get_no_more_tries_than_the_limit(live_server: LiveServer) -> None:
    browsers = [at_the_code(live_server) for _ in range(12)]

    def guess(number: int) -> int:
        client, csrf_token = browsers[number]
        return client.post("/login/mfa", data={"csrf_token": csrf_token, "code": "000000"}).status_code

    answers = at_once(12, guess)
    assert (answers.count(400), answers.count(429)) == (6, 6)


def test_new_recovery_codes_made_twice_at_once_leave_ten(live_server: LiveServer, transaction: Transaction, stage: Stage) -> None:
    client, csrf_token = at_the_code(live_server)
    client.post("/login/mfa", data={"csrf_token": csrf_token, "code": pyotp.TOTP(TOTP_SECRET).now()})
    page = client.get("/account")
    fields, cookie = {"csrf_token": token(page)}, client.cookies["session"]

    def make(_number: int) -> int:
        with httpx.Client(base_url=live_server.url, timeout=30, trust_env=False, cookies={"session": cookie}) as again:
            return again.post("/account/recovery-codes/new", data=fields).status_code

    assert set(at_once(4, make)) == {303}
    with transaction() as session:
        assert session.scalar(select(func.count()).select_from(RecoveryCode)) == 10


def test_signing_in_leaves_the_other_pages_alone(live_server: LiveServer, transaction: Transaction) -> None:
    """Nobody holds a write transaction while a password is hashed."""
    browsers = [live_server.client() for _ in range(8)]
    tokens = [token(client.get("/login")) for client in browsers]

    def act(number: int) -> int:
        if number % 2:
            return browsers[number].get("/login").status_code
        fields = {"csrf_token": tokens[number], "email": DANA.email, "password": PASSWORD}
        return browsers[number].post("/login", data=fields).status_code

    assert set(at_once(8, act)) <= {200, 303, 503}


def test_a_sign_in_with_the_old_password_waits_for_its_change_and_comes_too_late(app: Portal, cast: Cast, stage: Stage) -> None:
    old = stage.user(cast.dana).password_hash or ""
    checked = Checked(cast.dana.email, cast.dana.id, True, old)

    def sign_in() -> User | None:
        with app.app_context(), db.transaction() as session:
            return accept_password(session, app.keyring, checked, address=None)

    with ThreadPoolExecutor(1) as pool:
        with stage.transaction() as session:
            assert users.change_password(session, cast.dana.id, old_hash=old, new_hash="of another password")
            late = pool.submit(sign_in)
            wait([late], timeout=1)
        assert late.result() is None


def test_a_password_is_not_changed_while_somebody_signs_in_with_it(app: Portal, cast: Cast, stage: Stage) -> None:
    old = stage.user(cast.dana).password_hash or ""

    def change() -> int:
        with app.app_context(), db.transaction() as session:
            assert users.change_password(session, cast.dana.id, old_hash=old, new_hash="of another password")
            return sessions.end_others(session, cast.dana.id, keep=None, reason="password_changed", now=stage.clock.now())

    with ThreadPoolExecutor(1) as pool:
        with stage.transaction() as session:
            user = accept_password(session, app.keyring, Checked(cast.dana.email, cast.dana.id, True, old), address=None)
            assert user is not None
            changed = pool.submit(change)
            wait([changed], timeout=1)
            row = sessions.start(session, app.settings, "secret", now=stage.clock.now(), user_agent="", address=None)
            complete(session, row, user, amr=("pwd",), now=stage.clock.now())
        assert changed.result() == 1
