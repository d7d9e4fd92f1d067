from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import Portal
from portal.accounts import sessions
from portal.audit.models import AuditEvent
from portal.consents.models import Consent
from portal.interaction import Interaction
from portal.oauth.models import Authorization
from tests.support.corridor import Corridor
from tests.support.csrf import csrf
from tests.support.forms import form_in
from tests.support.race import at_once
from tests.support.server import LiveServer

pytestmark = pytest.mark.race
Transaction = Callable[[], AbstractContextManager[Session]]
ROUNDS = 5


class Race:
    """One signed-in browser of Alice, whose pages are walked to the consent page here and decided on the real server."""

    def __init__(self, server: LiveServer, app: Portal, corridor: Corridor, transaction: Transaction) -> None:
        self.server, self.corridor, self.transaction = server, corridor, transaction
        self.session_id = corridor.arrive_signed_in()
        self.csrf = csrf(app, self.session_id)
        name = sessions.cookie_name(app.settings)
        cookie = corridor.browser.get_cookie(name, domain="127.0.0.1")
        assert cookie is not None
        self.cookies = {name: cookie.value}

    def form(self) -> dict[str, list[str]]:
        """The consent form of a new request, as the page has it."""
        page = self.corridor.page("consent", prompt="consent")
        return form_in(page, action="/connect/consent").data()

    def decide(self, form: dict[str, list[str]], decision: str) -> httpx.Response:
        """Press the button and follow as far as the portal leads."""
        client = self.server.client(cookies=self.cookies)
        answer = client.post("/connect/consent", data={**form, "decision": decision})
        while answer.status_code == 303 and answer.headers["Location"].startswith("/"):
            answer = client.get(answer.headers["Location"])
        return answer

    def count(self, model: type) -> int:
        with self.transaction() as session:
            return session.scalar(select(func.count()).select_from(model)) or 0


@pytest.fixture
def race(live_server: LiveServer, app: Portal, corridor: Corridor, transaction: Transaction) -> Race:
    return Race(live_server, app, corridor, transaction)


def came_back_with(answer: httpx.Response) -> str:
    """`code` or the error in the way back to the partner; the status when there was none."""
    if answer.status_code != 303:
        return str(answer.status_code)
    found = parse_qs(urlsplit(answer.headers["Location"]).query)
    return "code" if "code" in found else found["error"][0]


def test_many_approvals_of_one_request_at_once_give_one_code_and_one_consent(race: Race) -> None:
    form = race.form()
    answers = at_once(8, lambda _: race.decide(form, "allow"))
    assert sorted(map(came_back_with, answers)) == ["410"] * 7 + ["code"]
    assert (race.count(Authorization), race.count(Consent)) == (1, 1)
    told = next(answer.text for answer in answers if answer.status_code == 410)
    assert "If you allowed access a moment ago, it stands" in told
    with race.transaction() as session:
        assert len(session.scalars(select(AuditEvent).where(AuditEvent.kind.startswith("consent."))).all()) == 1


def test_two_requests_of_one_person_approved_at_once_leave_one_consent(race: Race) -> None:
    forms = [race.form() for _ in range(6)]
    answers = at_once(6, lambda number: race.decide(forms[number], "allow"))
    assert [came_back_with(answer) for answer in answers] == ["code"] * 6
    assert (race.count(Authorization), race.count(Consent)) == (6, 1)
    with race.transaction() as session:
        told = sorted(session.scalars(select(AuditEvent.kind).where(AuditEvent.kind.startswith("consent."))))
    assert told == ["consent.changed"] * 5 + ["consent.given"]


def test_yes_and_no_at_once_are_one_answer(race: Race) -> None:
    for number in range(ROUNDS):
        form, before = race.form(), race.count(Authorization)
        answers = at_once(4, lambda which, form=form: race.decide(form, ("allow", "deny")[which % 2]))  # type: ignore[misc]
        back = sorted(map(came_back_with, answers))
        assert back in (["410", "410", "410", "code"], ["410", "410", "410", "access_denied"]), number
        assert race.count(Authorization) - before == ("code" in back)


def test_a_yes_at_the_moment_of_choosing_another_business_is_for_the_one_that_was_shown(race: Race) -> None:
    race.corridor.cast.add_member(race.corridor.person, race.corridor.cast.birch, "access_controller")
    for number in range(ROUNDS):
        form = race.form()

        def act(which: int, form: dict[str, list[str]] = form) -> None:
            client = race.server.client(cookies=race.cookies)
            if which:
                client.post("/connect/business", data={**form, "business_id": "business-birch"})
            else:
                client.post("/connect/consent", data={**form, "decision": "allow"})

        at_once(2, act)
        with race.transaction() as session:
            parked = session.get_one(Interaction, form["interaction"][0])
        assert (parked.business_id, parked.decision is not None) in (("business-acme", True), ("business-birch", False)), number


def test_approving_while_the_access_is_being_revoked_leaves_one_or_none(race: Race, app: Portal) -> None:
    dana_secret, dana_session = race.corridor.cast.new_session(race.corridor.cast.dana)
    dana_cookies, token = {next(iter(race.cookies)): dana_secret}, csrf(app, dana_session)
    for number in range(ROUNDS):
        assert came_back_with(race.decide(race.form(), "allow")) == "code"
        form = race.form()

        def act(which: int, form: dict[str, list[str]] = form) -> str:
            if which:
                return came_back_with(race.decide(form, "allow"))
            client = race.server.client(cookies=dana_cookies)
            return str(client.post("/business/business-acme/access/ledgerly/revoke", data=token).status_code)

        assert at_once(2, act) == ["303", "code"], number
        with race.transaction() as session:
            rows = session.scalars(select(Consent)).all()
        standing = [row for row in rows if row.revoked_at is None]
        assert len(standing) <= 1, number


def test_switching_user_at_the_moment_of_a_yes_hands_over_nothing(
    live_server: LiveServer, app: Portal, corridor: Corridor, transaction: Transaction
) -> None:
    for number in range(ROUNDS):
        race = Race(live_server, app, corridor, transaction)
        form = race.form()

        def act(which: int, form: dict[str, list[str]] = form, race: Race = race) -> None:
            client = race.server.client(cookies=race.cookies)
            if which:
                client.post("/login/switch", data=form)
            else:
                client.post("/connect/consent", data={**form, "decision": "allow"})

        at_once(2, act)
        with race.transaction() as session:
            parked = session.get_one(Interaction, form["interaction"][0])
        assert parked.session_id != race.session_id, number
        assert (parked.business_id, parked.decision, parked.prompted) == (None, None, {}), number
