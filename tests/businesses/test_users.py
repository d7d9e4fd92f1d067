from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import Portal
from portal.audit.models import AuditEvent
from portal.businesses import roles
from portal.businesses.models import Business, Membership
from tests.support.csrf import csrf
from tests.support.forms import forms_in, submit
from tests.support.race import at_once
from tests.support.same import partial_of, row_of, shown
from tests.support.server import LiveServer
from tests.support.signin import Cast

Transaction = Callable[[], AbstractContextManager[Session]]
PAGE = "/business/business-acme/users"
POLICY = "/business/business-acme/policy"
HTMX = {"HX-Request": "true"}


def member_of(transaction: Transaction, user_id: str, business_id: str = "business-acme") -> Membership:
    with transaction() as session:
        return session.scalars(
            select(Membership).where(Membership.user_id == user_id, Membership.business_id == business_id)
        ).one()


def told(transaction: Transaction, kind: str) -> list[AuditEvent]:
    with transaction() as session:
        return list(session.scalars(select(AuditEvent).where(AuditEvent.kind == kind)))


def paths_of(transaction: Transaction, user_id: str) -> tuple[str, str]:
    member = member_of(transaction, user_id)
    return f"{PAGE}/{member.id}/role", f"{PAGE}/{member.id}/remove"


def test_everyone_reads_the_list_and_only_a_manager_changes_it(browser: FlaskClient, cast: Cast) -> None:
    erin = cast.add_user()
    cast.add_member(erin, cast.acme, "fund_tax_agent", accepted=False)
    cast.open_session(browser, cast.bob)
    page = browser.get(PAGE)
    for words in (cast.alice.name, cast.bob.email.replace("@", "<wbr>@"), "Fund Auditor", "Accepted", "Invited", erin.name):
        assert words in page.text
    assert not [form for form in forms_in(page) if "/users/" in form.action]
    cast.open_session(browser, cast.alice)
    assert len([form for form in forms_in(browser.get(PAGE)) if "/users/" in form.action]) == 6


def test_a_role_changes(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    role, _ = paths_of(transaction, cast.bob.id)
    cast.open_session(browser, cast.alice)
    answer = submit(browser, browser.get(PAGE), {"role": "fund_adviser"}, action=role)
    assert answer.status_code == 303 and answer.location.endswith(PAGE)
    assert "Bob Kowalski is Fund Adviser now." in browser.get(PAGE).text
    assert member_of(transaction, cast.bob.id).role == "fund_adviser"
    (event,) = told(transaction, "membership.role_changed")
    assert event.detail["role_before"] == "fund_auditor" and event.user_id == cast.alice.id


def test_with_htmx_the_row_comes_back_as_the_page_shows_it(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    role, _ = paths_of(transaction, cast.bob.id)
    cast.open_session(browser, cast.alice)
    answer = submit(browser, browser.get(PAGE), {"role": "fund_adviser"}, action=role, headers=HTMX)
    assert answer.status_code == 200 and "<html" not in answer.text
    assert row_of(answer) in shown(browser.get(PAGE).text)


def test_with_htmx_a_removed_row_says_so_once_and_the_others_are_as_the_page_shows_them(
    browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    erins = cast.add_member(cast.add_user(), cast.acme, "access_controller")
    alices = member_of(transaction, cast.alice.id)
    cast.open_session(browser, cast.alice)
    answer = submit(browser, browser.get(PAGE), action=f"/{erins.id}/remove", headers=HTMX)
    assert "Removed" in row_of(answer) and "<form" not in row_of(answer)
    page = browser.get(PAGE).text
    assert f"user-{erins.id}" not in page
    other = partial_of(answer, f"user-{alices.id}")
    assert "The only one." in other and other in shown(page)


def test_a_removed_user_is_out_at_once(app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    cast.add_consent(cast.bob)
    bobs = app.test_client()
    cast.open_session(bobs, cast.bob)
    assert bobs.get(PAGE).status_code == 200
    _, remove = paths_of(transaction, cast.bob.id)
    cast.open_session(browser, cast.alice)
    answer = submit(browser, browser.get(PAGE), action=remove, headers=HTMX)
    assert answer.status_code == 200 and "Removed" in answer.text
    assert bobs.get(PAGE).status_code == 404
    assert cast.bob.email not in browser.get(PAGE).text
    assert "no longer a user here" in browser.get("/business/business-acme/access").text
    assert submit(browser, browser.get(PAGE), action=paths_of(transaction, cast.dana.id)[1]).status_code == 303


def test_a_removal_is_asked_once_more_with_what_it_means(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    cast.add_member(cast.add_user(), cast.acme, "access_controller")
    erin = cast.add_user("Erin")
    cast.add_member(erin, cast.acme, "fund_auditor", accepted=False)
    cast.open_session(browser, cast.alice)
    page = browser.get(PAGE).text
    for person, words in (
        (cast.alice, "You can then no longer"),
        (cast.bob, "They can then"),
        (erin, "The invitation then ends."),
    ):
        asked = row_in(page, member_of(transaction, person.id)).partition('<details class="ask"')[2]
        assert words in asked and "Only the operator of Class can undo this." in asked
        assert asked.index("</summary>") < asked.index("<form") < asked.index("Yes, remove") < asked.index("</details>")


def test_a_get_changes_nothing(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    cast.open_session(browser, cast.alice)
    for path in (*paths_of(transaction, cast.bob.id), POLICY):
        assert browser.get(path).status_code == 405


def test_a_stranger_finds_nobody(app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    token = csrf(app, cast.open_session(browser, cast.charlie))
    for path in paths_of(transaction, cast.bob.id):
        assert browser.post(path, data={**token, "role": "fund_adviser"}).status_code == 404
        own = path.replace("business-acme", "business-birch")
        assert browser.post(own, data={**token, "role": "fund_adviser"}).status_code == 404
    assert browser.post(POLICY, data={**token, "connect_policy": "access_controllers"}).status_code == 404
    assert browser.post(f"{PAGE}/a%00b/remove", data=token).status_code == 404
    assert member_of(transaction, cast.bob.id).is_active


@pytest.mark.parametrize("whose", ["nobody", "charlie"])
def test_a_missing_or_foreign_csrf_token_changes_nothing(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction, whose: str
) -> None:
    cast.open_session(browser, cast.alice)
    token = csrf(app, cast.open_session(app.test_client(), cast.charlie)) if whose == "charlie" else {}
    for path in (*paths_of(transaction, cast.bob.id), POLICY):
        answer = browser.post(path, data={**token, "role": "fund_adviser", "connect_policy": "access_controllers"})
        assert answer.status_code == 400
    assert member_of(transaction, cast.bob.id).role == "fund_auditor" and member_of(transaction, cast.bob.id).is_active


@pytest.mark.parametrize("role", [role.key for role in roles.ROLES.values() if not role.manages_users])
def test_other_roles_may_not_manage(app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction, role: str) -> None:
    erin = cast.add_user()
    cast.add_member(erin, cast.acme, role)
    token = csrf(app, cast.open_session(browser, erin))
    for path in (*paths_of(transaction, cast.bob.id), POLICY):
        data = {**token, "role": "access_controller", "connect_policy": "access_controllers"}
        assert browser.post(path, data=data).status_code == 403
    own, _ = paths_of(transaction, erin.id)
    assert browser.post(own, data={**token, "role": "access_controller"}).status_code == 403
    assert member_of(transaction, cast.bob.id).role == "fund_auditor" and member_of(transaction, erin.id).role == role


def test_the_last_access_controller_can_be_neither_changed_nor_removed(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    role, remove = paths_of(transaction, cast.alice.id)
    token = csrf(app, cast.open_session(browser, cast.alice))
    for answer in (browser.post(role, data={**token, "role": "fund_auditor"}), browser.post(remove, data=token)):
        assert answer.status_code == 409 and "last Access Controller" in answer.text
    assert member_of(transaction, cast.alice.id).role == "access_controller" and member_of(transaction, cast.alice.id).is_active


def row_in(text: str, member: Membership) -> str:
    return text.partition(f'id="user-{member.id}"')[2].partition("</tr>")[0]


def test_the_only_access_controller_has_no_buttons_and_is_told_why(
    browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    erin = cast.add_user(disabled_at=cast._clock.now())
    cast.add_member(erin, cast.acme, "access_controller")
    alices, bobs = (member_of(transaction, person.id) for person in (cast.alice, cast.bob))
    cast.open_session(browser, cast.alice)
    page = browser.get(PAGE)
    assert "The only one." in row_in(page.text, alices) and "<form" not in row_in(page.text, alices)
    assert page.text.count("The only one.") == 1
    path = f"{PAGE}/{bobs.id}/role"
    for role, is_alone in (("access_controller", False), ("fund_adviser", True)):
        answer = submit(browser, browser.get(PAGE), {"role": role}, action=path, headers=HTMX)
        for text in (answer.text, browser.get(PAGE).text):
            assert ("The only one." in row_in(text, alices), "<form" not in row_in(text, alices)) == (is_alone, is_alone)
    cast.open_session(browser, cast.bob)
    assert "The only one." not in browser.get(PAGE).text


@pytest.mark.parametrize("who", ["invited", "disabled"])
def test_who_cannot_act_does_not_count_as_an_access_controller(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction, who: str
) -> None:
    erin = cast.add_user(disabled_at=cast._clock.now() if who == "disabled" else None)
    cast.add_member(erin, cast.acme, "access_controller", accepted=who == "disabled")
    _, remove = paths_of(transaction, cast.alice.id)
    token = csrf(app, cast.open_session(browser, cast.alice))
    assert browser.post(remove, data=token).status_code == 409


def test_with_a_second_access_controller_the_first_may_leave(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    erin = cast.add_user()
    cast.add_member(erin, cast.acme, "access_controller")
    cast.open_session(browser, cast.alice)
    answer = submit(browser, browser.get(PAGE), action=paths_of(transaction, cast.alice.id)[1])
    assert answer.status_code == 303 and answer.location.endswith("/businesses")
    assert browser.get(PAGE).status_code == 404


@pytest.mark.race
def test_two_access_controllers_who_remove_each_other_leave_one(
    live_server: LiveServer, app: Portal, cast: Cast, transaction: Transaction
) -> None:
    for _ in range(4):
        company, pair = cast.add_business(), (cast.add_user(), cast.add_user())
        members = [cast.add_member(person, company, "access_controller") for person in pair]
        kept = [cast.new_session(person) for person in pair]

        def remove_the_other(number: int, members=members, kept=kept, company=company) -> int:  # type: ignore[no-untyped-def]
            secret, session_id = kept[number]
            path = f"/business/{company.id}/users/{members[1 - number].id}/remove"
            client = live_server.client(cookies={"session": secret})
            return client.post(path, data=csrf(app, session_id)).status_code

        answers = at_once(2, remove_the_other)
        with transaction() as session:
            left = session.scalars(select(Membership).where(Membership.business_id == company.id)).all()
        assert sum(member.is_active for member in left) == 1, answers
        assert 303 in answers


def test_who_may_connect_is_narrowed_and_widened(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    cast.open_session(browser, cast.alice)
    page = browser.get("/business/business-acme")
    for policy in ("access_controllers", "members"):
        assert submit(browser, page, {"connect_policy": policy}, action="/policy").status_code == 303
        with transaction() as session:
            assert session.get_one(Business, "business-acme").connect_policy == policy
    assert [event.detail["policy"] for event in told(transaction, "business.policy_changed")] == ["access_controllers", "members"]


@pytest.mark.parametrize(("path", "data"), [("/role", {"role": "owner"}), ("policy", {"connect_policy": "anyone"})])
def test_nonsense_is_refused(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction, path: str, data: dict[str, str]
) -> None:
    token = csrf(app, cast.open_session(browser, cast.alice))
    target = POLICY if path == "policy" else paths_of(transaction, cast.bob.id)[0]
    assert browser.post(target, data={**token, **data}).status_code == 409


# invitations, and all my businesses


def test_an_invitation_is_accepted_once(app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    cast.open_session(browser, cast.priya)
    page = browser.get("/businesses")
    assert "Fernhill Accounting" in page.text
    assert submit(browser, page, action="/accept").status_code == 303
    assert submit(browser, page, action="/accept").status_code == 404
    assert browser.get("/business/business-fernhill").status_code == 200
    assert len(told(transaction, "membership.accepted")) == 1


def test_an_invitation_is_declined(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    cast.open_session(browser, cast.priya)
    page = browser.get("/businesses")
    assert submit(browser, page, action="/decline").status_code == 303
    assert "The operator of Class can invite you again." in browser.get("/businesses").text
    assert submit(browser, page, action="/accept").status_code == 404
    assert browser.get("/business/business-fernhill").status_code == 404


def test_nobody_answers_another_persons_invitation(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    invitation = member_of(transaction, cast.priya.id, "business-fernhill")
    token = csrf(app, cast.open_session(browser, cast.charlie))
    for word in ("accept", "decline"):
        path = f"/businesses/invitations/{invitation.id}/{word}"
        assert browser.post(path, data=token).status_code == 404
        assert browser.get(path).status_code == 405
        assert browser.post(path).status_code == 400
    assert member_of(transaction, cast.priya.id, "business-fernhill").accepted_at is None


def test_who_was_invited_to_nothing_reads_how_that_works(browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, cast.add_user())
    assert "When the operator of Class invites you to a business" in browser.get("/businesses").text


def test_my_businesses_tell_what_each_is_and_count_what_reaches_it(browser: FlaskClient, cast: Cast) -> None:
    cast.add_consent(cast.alice)
    cast.add_consent(cast.bob)
    cast.add_consent(cast.bob, partner=cast.pocketfolio)
    cast.add_consent(cast.dana, partner=cast.pocketfolio, revoked_at=cast._clock.now() - timedelta(days=1))
    cast.open_session(browser, cast.alice)
    text = browser.get("/businesses").text
    for words in ("Acme Super Services", "51 824 753 556", "ACME", "Access Controller", '/access">2<'):
        assert words in text
    assert "Birch" not in text and 'name="q"' not in text


@pytest.mark.parametrize(
    ("words", "found"),
    [("harbour", 2), ("HARBOUR-PER", 1), ("95 200 300 400", 1), ("300400500", 1), ("zzz", 0), ("%25", 0), ("", 11)],
)
def test_many_businesses_are_searched_by_name_code_and_abn(browser: FlaskClient, cast: Cast, words: str, found: int) -> None:
    cast.open_session(browser, cast.priya)
    page = browser.get("/businesses", query_string={"q": words})
    part = browser.get("/businesses", query_string={"q": words}, headers=HTMX)
    assert page.text.count('data-label="Business"') == part.text.count('data-label="Business"') == found
    assert part.text.strip() in page.text and "<html" not in part.text
