from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, timedelta

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect
from sqlalchemy.orm import Session

from portal import Portal
from portal.consents import activity
from portal.consents.models import Consent
from tests.consents.usage_rows import add_uses
from tests.support.clock import Clock
from tests.support.forms import forms_in, submit
from tests.support.same import shown
from tests.support.signin import Cast

Transaction = Callable[[], AbstractContextManager[Session]]
TABLE = "/business/business-acme/access"
PAGE = f"{TABLE}/ledgerly/activity"
HTMX = {"HX-Request": "true"}
OFFLINE = "openid funds.summary funds.read business.read offline_access"


@pytest.fixture
def old_consent(cast: Cast, clock: Clock) -> Consent:
    """Alice's, of 200 days ago."""
    return cast.add_consent(cast.alice, scope=OFFLINE, granted_at=clock.now() - timedelta(days=200))


def parts_of(text: str) -> list[str]:
    """What the page says of each consent."""
    return re.findall(r'<div class="activity-part".*?</ul>', text, re.DOTALL)


def words(text: str) -> str:
    """What a person reads."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def line_of(text: str, title: str) -> str:
    [line] = [line for line in re.findall(r'<li class="used-line">.*?</li>', text, re.DOTALL) if f">{title}<" in line]
    return line


def narrowing_forms(browser: FlaskClient) -> list[tuple[str, tuple[str, ...]]]:
    found = [form.data() for form in forms_in(browser.get(PAGE)) if form.action.endswith("/narrow")]
    return [(form["scope"][0], tuple(form.get("keep", ()))) for form in found]


def test_the_page_tells_calls_by_day_and_by_what_was_allowed(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock, old_consent: Consent
) -> None:
    now = clock.now()
    add_uses(transaction, old_consent.id, "funds.summary", now=now, days_ago=3, calls=1200)
    add_uses(transaction, old_consent.id, "funds.summary", now=now, days_ago=5, calls=34, refused=2)
    add_uses(transaction, old_consent.id, "members.read", now=now, days_ago=5, calls=6)
    add_uses(transaction, old_consent.id, "funds.create", now=now, days_ago=5, calls=0, refused=1)
    add_uses(transaction, old_consent.id, "funds.summary", now=now, days_ago=95, calls=10_000)
    cast.open_session(browser, cast.bob)
    text = browser.get(PAGE).text
    read = words(text)
    assert "made 1,240 calls , at most 1,200 in a day. 3 calls were refused" in read
    assert "last used 3 days ago · 1,234 times · 2 calls refused" in words(line_of(text, "Read summary fund information"))
    assert "last used 5 days ago · 6 times" in words(line_of(text, "Read all fund information"))
    assert "1 call refused, since it was not allowed" in words(line_of(text, "Create new funds"))
    assert "never used" in words(line_of(text, "Read basic business information"))
    assert "used when somebody signs in" in words(line_of(text, "Know your identity"))
    assert len(re.findall(r'<rect class="chart-calls"', text)) == 2 and len(re.findall(r'<rect class="chart-refused"', text)) == 1
    assert len(re.findall(r'<tr><th scope="row"><time', text)) == 2
    outside = re.sub(r"<(input|form)[^>]*>", "", text)
    assert "funds.summary" not in outside and "offline_access" not in outside


def test_the_last_use_is_told_however_long_ago_it_was(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock, old_consent: Consent
) -> None:
    add_uses(transaction, old_consent.id, "members.read", now=clock.now(), days_ago=130, calls=12)
    add_uses(transaction, old_consent.id, "funds.create", now=clock.now(), days_ago=130, calls=12)
    add_uses(transaction, old_consent.id, "", now=clock.now(), days_ago=130, calls=12)
    cast.open_session(browser, cast.alice)
    text = browser.get(PAGE).text
    line = words(line_of(text, "Read all fund information"))
    assert "last used 4 months ago Ledgerly can" in line and "has not for 90 days" in line
    assert "Create new funds" not in text and "named no permission" not in text


@pytest.mark.settings(usage_kept_days=100)
def test_never_is_said_only_where_calls_were_counted_from_the_first_day_on(
    browser: FlaskClient, cast: Cast, clock: Clock, old_consent: Consent
) -> None:
    cast.add_consent(cast.bob, scope="openid funds.summary", granted_at=clock.now() - timedelta(days=99))
    cast.open_session(browser, cast.alice)
    alices, bobs = sorted(parts_of(browser.get(PAGE).text))
    assert "never used" not in alices and "not used in the last 90 days" in alices
    assert "never used" in bobs


def test_nothing_stands_for_nothing(browser: FlaskClient, cast: Cast, old_consent: Consent) -> None:
    cast.open_session(browser, cast.alice)
    text = browser.get(PAGE).text
    assert "made no call in the last 90 days" in words(text) and '<svg class="chart' not in text


def test_refreshing_is_no_call_of_the_chart(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock, old_consent: Consent
) -> None:
    add_uses(transaction, old_consent.id, "offline_access", now=clock.now(), days_ago=2, calls=50)
    cast.open_session(browser, cast.alice)
    text = browser.get(PAGE).text
    assert "made no call in the last 90 days" in words(text)
    assert "50 times" in words(line_of(text, "Access your data while you are not logged into Class"))


def test_each_person_has_their_own_part(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock, old_consent: Consent
) -> None:
    bobs = cast.add_consent(cast.bob, scope="openid funds.summary")
    add_uses(transaction, bobs.id, "funds.summary", now=clock.now(), days_ago=1, calls=7)
    add_uses(transaction, old_consent.id, "funds.summary", now=clock.now(), days_ago=2, calls=8)
    cast.open_session(browser, cast.bob)
    parts = parts_of(browser.get(PAGE).text)
    told = {part.split("What ")[1].split(" allowed")[0]: words(part) for part in parts}
    assert "7 times" in told[cast.bob.name] and "8 times" not in told[cast.bob.name]
    assert "8 times" in told[cast.alice.name]


def test_no_two_landmarks_have_one_name_where_a_person_has_connected_twice(
    browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    cast.add_consent(cast.bob)
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get(TABLE), action="/ledgerly/revoke")
    cast.add_consent(cast.bob)
    text = browser.get(PAGE).text
    assert len(parts_of(text)) == 2
    names = re.findall(r'<(?:section|nav|aside|form)[^>]* aria-label="([^"]*)"', text)
    assert len(names) == len(set(names))


def test_what_was_used_of_access_that_has_ended_is_told_and_nothing_is_offered(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    now, days = clock.now(), timedelta(days=1)
    over = {"scope": OFFLINE, "granted_at": now - 200 * days, "revoked_at": now - 5 * days, "revoke_reason": "user"}
    alices, _unused = cast.add_consent(cast.alice, **over), cast.add_consent(cast.dana, **over)
    bobs = cast.add_consent(cast.bob, scope=OFFLINE, granted_at=now - 200 * days, expires_at=now - 95 * days)
    add_uses(transaction, alices.id, "members.read", now=now, days_ago=6, calls=12)
    add_uses(transaction, bobs.id, "members.read", now=now, days_ago=89, calls=0, refused=3)
    add_uses(transaction, bobs.id, "members.read", now=now, days_ago=95, calls=9)
    cast.open_session(browser, cast.alice)
    assert f'href="{PAGE}"' in browser.get(f"{TABLE}?status=ended").text
    parts = parts_of(browser.get(PAGE).text)
    told = {part.split("What ")[1].split(" allowed")[0]: part for part in parts}
    assert set(told) == {cast.alice.name, cast.bob.name}
    assert "ended 5 days ago" in words(told[cast.alice.name]) and "last used 6 days ago · 12 times" in words(
        told[cast.alice.name]
    )
    assert "last used 3 months ago · 3 calls refused" in words(told[cast.bob.name])
    assert "<form" not in "".join(parts) and "used-advice" not in "".join(parts)


def test_with_htmx_the_row_gets_what_the_page_shows(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock, old_consent: Consent
) -> None:
    add_uses(transaction, old_consent.id, "funds.summary", now=clock.now(), days_ago=1, calls=7)
    cast.open_session(browser, cast.alice)
    fragment, page = browser.get(PAGE, headers=HTMX).text, browser.get(PAGE).text
    assert "<html" not in fragment
    in_place = re.sub(r' hx-(post|target|swap)="[^"]*"', "", fragment)
    assert shown(in_place) in shown(page)


def test_a_row_of_the_table_opens_to_it(browser: FlaskClient, cast: Cast, old_consent: Consent) -> None:
    cast.open_session(browser, cast.bob)
    assert f'href="{PAGE}"' in browser.get(TABLE).text


def test_a_stranger_and_an_unknown_application_find_nothing(
    app: Portal, browser: FlaskClient, cast: Cast, old_consent: Consent
) -> None:
    assert browser.get(PAGE).status_code in (302, 303)
    cast.open_session(browser, cast.charlie)
    for path in (PAGE, "/business/business-birch/access/ledgerly/activity", "/business/business-birch/access/a%00b/activity"):
        assert browser.get(path).status_code == 404
    cast.open_session(browser, cast.alice)
    assert browser.get(f"{TABLE}/pocketfolio/activity").status_code == 404
    assert browser.get(f"{PAGE}?after=%00'").status_code == 200
    assert browser.post(PAGE).status_code in (400, 405)


# the advice


def test_what_nobody_used_for_90_days_may_be_taken_away(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock, old_consent: Consent
) -> None:
    add_uses(transaction, old_consent.id, "funds.summary", now=clock.now(), days_ago=1)
    add_uses(transaction, old_consent.id, "business.read", now=clock.now(), days_ago=91)
    add_uses(transaction, old_consent.id, "business.read", now=clock.now(), days_ago=1, calls=0, refused=3)
    cast.open_session(browser, cast.alice)
    assert narrowing_forms(browser) == [("funds.read", ()), ("business.read", ())]
    assert browser.get(PAGE).text.count("What you take away comes back only by connecting Ledgerly again.") == 1


def test_of_a_broad_scope_the_parts_that_were_used_are_kept(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    consent = cast.add_consent(
        cast.alice, scope="openid funds.summary funds.write offline_access", granted_at=clock.now() - timedelta(days=100)
    )
    for scope in ("funds.summary", "members.read", "funds.basic"):
        add_uses(transaction, consent.id, scope, now=clock.now(), days_ago=4)
    cast.open_session(browser, cast.alice)
    assert narrowing_forms(browser) == [("funds.write", ("funds.basic", "members.read"))]
    add_uses(transaction, consent.id, "funds.read", now=clock.now(), days_ago=4)
    assert narrowing_forms(browser) == [("funds.write", ("funds.read",))]
    add_uses(transaction, consent.id, "funds.write", now=clock.now(), days_ago=4)
    assert narrowing_forms(browser) == []


@pytest.mark.parametrize(
    ("used", "told", "kept"),
    [
        ((), "None of this was used. Ledgerly requires “Read summary fund information”, so that part stays.", ("funds.summary",)),
        (("members.read",), "Only a part of this was used: “Read member information”. Ledgerly requires", ("funds.summary", "members.read")),
        (("funds.summary",), "Only a part of this was used: “Read summary fund information”. The rest", ("funds.summary",)),
    ],
)  # fmt: skip
def test_what_is_required_of_a_broad_scope_is_kept_and_not_told_as_used(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock, used: tuple[str, ...], told: str, kept: tuple[str, ...]
) -> None:  # fmt: skip
    ago = clock.now() - timedelta(days=200)
    consent = cast.add_consent(cast.alice, scope="openid funds.read offline_access", granted_at=ago)
    for scope in used:
        add_uses(transaction, consent.id, scope, now=clock.now(), days_ago=4)
    cast.open_session(browser, cast.alice)
    line = line_of(browser.get(PAGE).text, "Read all fund information")
    assert told in words(line) and ("Keep only what is used" in line) == bool(used) == ("Keep only what it requires" not in line)
    assert narrowing_forms(browser) == [("funds.read", kept)]


def test_what_is_not_allowed_any_more_was_used_when_it_was(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock, old_consent: Consent
) -> None:
    add_uses(transaction, old_consent.id, "funds.create", now=clock.now(), days_ago=3, calls=12)
    cast.open_session(browser, cast.alice)
    line = words(line_of(browser.get(PAGE).text, "Create new funds"))
    assert "12 times · not allowed any more" in line and "since" not in line


def test_what_is_required_says_so_and_offers_to_revoke(browser: FlaskClient, cast: Cast, old_consent: Consent) -> None:
    cast.open_session(browser, cast.alice)
    line = line_of(browser.get(PAGE).text, "Read summary fund information")
    assert "without it the connection would stop working" not in words(line)  # it is a part of the broader one
    cast.add_consent(cast.bob, scope="openid funds.summary offline_access", granted_at=old_consent.granted_at)
    parts = parts_of(browser.get(PAGE).text)
    [bobs] = [part for part in parts if cast.bob.name in part]
    line = line_of(bobs, "Read summary fund information")
    assert "without it the connection would stop working" in words(line)
    assert "/revoke" in line and "/narrow" not in line


@pytest.mark.parametrize("why", ["young", "online", "unnamed", "another's"])
def test_there_is_no_advice_where_it_would_not_be_true(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock, why: str
) -> None:
    ago = timedelta(days=89 if why == "young" else 100)
    scope = "openid business.read" + ("" if why == "online" else " offline_access")
    consent = cast.add_consent(cast.alice, scope=scope, granted_at=clock.now() - ago)
    if why == "unnamed":
        add_uses(transaction, consent.id, "", now=clock.now(), days_ago=1)
    cast.open_session(browser, cast.bob if why == "another's" else cast.alice)
    assert narrowing_forms(browser) == [] and "comes back only by" not in browser.get(PAGE).text
    if why == "unnamed":
        assert "Calls that named no permission" in browser.get(PAGE).text


# the drawing


def test_the_busiest_day_is_the_tallest_and_a_single_call_can_be_seen() -> None:
    first = date(2026, 9, 1)
    counts = {0: (1000, 0), 44: (1, 250), 89: (500, 0)}
    days = [activity.Day(first + timedelta(days=n), *counts.get(n, (0, 0))) for n in range(90)]
    chart = activity.drawn(days)
    assert [(bar.x, bar.height, bar.depth) for bar in chart.bars] == [(0, 100, 0), (440, 2, 25), (890, 50, 0)]
    assert (chart.height, chart.depth, chart.busiest) == (100, 25, days[0])


def test_only_refusals_leave_room_above_the_line() -> None:
    chart = activity.drawn([activity.Day(date(2026, 9, 1), 0, 7)])
    assert chart.busiest is None and chart.height > 0 and chart.depth == 100


# in a real browser


@pytest.mark.browser
@pytest.mark.looks
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_row_opens_and_narrows_in_place(
    page: Page, cast: Cast, transaction: Transaction, clock: Clock, old_consent: Consent, axe: Callable[..., list[str]],
    width: int, scheme: str,
) -> None:  # fmt: skip
    add_uses(transaction, old_consent.id, "members.read", now=clock.now(), days_ago=4, calls=12, refused=3)
    cast.open_page_session(page, cast.alice)
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(TABLE)
    page.get_by_text("Activity of Ledgerly", exact=True).click()
    expect(page.get_by_role("img", name="Calls on each")).to_be_visible()
    assert axe(page) == []
    page.get_by_text("The same as a table").click()
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.get_by_role("button", name="Keep only what is used").click()
    expect(page.get_by_role("status")).to_contain_text("keeps “Read member information”")
    expect(page.locator("#activity-ledgerly")).to_contain_text("Read member information")
    expect(page.locator("#application-ledgerly .chips")).to_contain_text("Read member information")
    expect(page.locator("#application-ledgerly .chips")).not_to_contain_text("Read all fund information")
    assert axe(page) == []
    with transaction() as session:
        assert session.get_one(Consent, old_consent.id).scopes == [
            "openid", "funds.summary", "members.read", "business.read", "offline_access",
        ]  # fmt: skip


@pytest.mark.browser
def test_without_javascript_it_is_a_page(
    page_without_javascript: Page, cast: Cast, transaction: Transaction, old_consent: Consent
) -> None:
    page = page_without_javascript
    cast.open_page_session(page, cast.alice)
    page.goto(TABLE)
    page.get_by_text("Activity of Ledgerly", exact=True).click()
    page.get_by_role("link", name="Open the activity of Ledgerly").click()
    page.get_by_role("button", name="Take away “Read basic business information”").click()
    expect(page.get_by_role("status")).to_contain_text("is taken away from Ledgerly")
    assert page.url.endswith(PAGE)
    with transaction() as session:
        assert "business.read" not in session.get_one(Consent, old_consent.id).scopes
