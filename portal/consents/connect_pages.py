"""The last two pages of the corridor: which business, and what exactly. Each does its one job and goes back to the protocol."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, make_response, render_template, request, url_for
from flask_login import current_user, login_required
from werkzeug import Response

from portal import db, interaction, web
from portal.accounts.journey import Journey
from portal.accounts.models import User
from portal.accounts.sessions import here
from portal.businesses import membership, roles
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents import catalogue, choices, decisions
from portal.consents.choices import Choice
from portal.consents.decisions import Question
from portal.consents.models import Consent
from portal.errors import Gone
from portal.interaction import Interaction

bp = Blueprint("connect", __name__, url_prefix="/connect")

SEARCH_FROM = 8
GROUPS = (
    ("identity", "Who you are", "", ""),
    ("read", "What it can read", "", ""),
    ("write", "Can change your data", "Tick nothing here if it should only read.", "change"),
    ("offline", "When you are not here", "", ""),
)
"""Group of the catalogue, legend, hint and tone, in the order of the page."""
DURATIONS = {
    "session": ("This session", "Until you sign out, at the latest "),
    "3_months": ("3 months", "Until "),
    "12_months": ("12 months", "The longest there is, until "),
}
ONLINE = "{} reaches data only while you are signed in to {}; for this long it need not ask you again."
CHOOSE_ONE = "Choose a business. Access is for one business at a time."
NOTHING_TICKED = "Tick at least one thing to allow, or choose Deny."
DECIDE = "Choose Allow access or Deny."
HOW_LONG = "Choose how long the access may last."
OTHER_BUSINESS = (
    "You chose another business in the meantime, in another tab or by going back. "
    "This page is about the business you chose last. Check everything once more; nothing was shared."
)
OUT_OF_DATE = "What can be allowed has changed since this page was shown. Check it once more; nothing was shared."
ABOUT = {DECIDE: "decision", OTHER_BUSINESS: "business", HOW_LONG: "duration"}
"""What a sentence is about; the others are about the scopes."""


# which business


@bp.get("/business")
@login_required
def business() -> Response:
    """The businesses the application can be connected to, and those it cannot, with the reason."""
    journey = _journey()
    if journey.parked.decision is not None:
        return web.see_other(journey.goal())
    return _business_page(journey, _choices(journey.parked))


@bp.post("/business")
@login_required
def choose_business() -> Response:
    """Exactly one is chosen: on to what it is asked for."""
    journey = _journey()
    parked, chosen = journey.parked, request.form.getlist("business_id")
    found = _choices(parked)
    if len(chosen) != 1 or not any(one.id == chosen[0] and not one.reason for one in found):
        return _business_page(journey, found, error=CHOOSE_ONE)
    interaction.choose(db.session, parked, chosen[0])
    return web.see_other(journey.goal())


def _choices(parked: Interaction) -> list[Choice]:
    client, user = _client(parked), _me()
    connected = decisions.list_standing(db.session, user.id, client.client_id, now=db.utcnow())
    everything = membership.list_all(db.session, user.id)
    return choices.choices(everything, client, _asked(parked), connected=connected, brand=web.brand())


def _business_page(journey: _Journey, found: list[Choice], *, error: str = "") -> Response:
    q = " ".join(request.args.get("q", "").replace("\0", "").split())[:100]
    open_ones = [one for one in found if not one.reason]
    wanted = journey.parked.business_id or _hinted(journey.parked)
    if len(open_ones) == 1 and not wanted:
        wanted = open_ones[0].id
    page = render_template(
        "consents/business.html",
        choices=[_shown(one, wanted) for one in found if choices.matches(one.member, q)],
        any_open=bool(open_ones),
        missed=bool(wanted) and not any(one.id == wanted for one in open_ones),
        total=len(found),
        searchable=len(found) >= SEARCH_FROM,
        q=q,
        error=error,
        **journey.context(3),
    )
    return make_response(page, 400 if error else 200)


def _hinted(parked: Interaction) -> str | None:
    """The business that the application thinks of; only ever preselected."""
    hint: str | None = parked.parameters.get("business_id")
    return hint


def _shown(one: Choice, wanted: str | None) -> dict[str, Any]:
    """A choice as the page's row shows it."""
    member = one.member
    facts = ("id", "name", "abn", "code", "fund_count")
    return {
        **{name: getattr(member.business, name) for name in facts},
        "role": roles.title(member.role),
        "is_connected": one.is_connected,
        "has_namesake": one.has_namesake,
        "is_chosen": not one.reason and one.id == wanted,
        "reason": one.reason,
        "is_invited": one.is_invited,
    }


# what exactly


@bp.get("/consent")
@login_required
def consent() -> Response:
    """What the application asks for, for which business, and for how long."""
    journey = _journey()
    member = _chosen(journey.parked)
    if member is None or journey.parked.decision is not None:
        return web.see_other(journey.goal())
    return _consent_page(journey, member)


@bp.post("/consent")
@login_required
def decide() -> Response:
    """The person said yes or no; the answer goes to the application."""
    journey = _journey()
    decisions_made = request.form.getlist("decision")
    parked, decision = journey.parked, decisions_made[0] if len(decisions_made) == 1 else None
    member = _chosen(parked)
    if decision == "deny":
        interaction.decide(db.session, parked, {"allow": False})
        return web.see_other(journey.goal())
    if member is None or parked.decision is not None:
        return web.see_other(journey.goal())
    client, ticked = _client(parked), request.form.getlist("scope")
    scopes = decisions.granted(client, _asked(parked), ticked, member.role)
    error = _fault(decision, ticked, scopes, client, member, parked)
    if error:
        return _consent_page(journey, member, error=error, ticked=None if error == OTHER_BUSINESS else ticked)
    interaction.decide(db.session, parked, {"allow": True, "scopes": scopes, "duration": _duration()})
    return web.see_other(journey.goal())


def _fault(
    decision: str | None, ticked: list[str], scopes: list[str], client: Client, member: Membership, parked: Interaction
) -> str:
    """What keeps this form from being a decision, as a sentence; "" when nothing does.

    The form says which business its page was about: a yes is never taken for another one.
    """
    if decision != "allow":
        return DECIDE
    if set(request.form.getlist("business_id")) - {member.business_id}:
        return OTHER_BUSINESS
    if request.form.get("duration", decisions.LONGEST) not in decisions.LENGTHS:
        return HOW_LONG
    beyond = decisions.beyond_role(client, _asked(parked), member.role)
    if beyond or not set(ticked) <= set(scopes):
        return OUT_OF_DATE
    return "" if scopes else NOTHING_TICKED


def _subject(error: str, questions: list[Question]) -> str:
    """What a sentence of `_fault` is about, so that it can stand there: a part of the page, or the first scope that can be ticked."""
    if error in ABOUT:
        return ABOUT[error]
    free = [one for one in questions if not one.reason and not one.is_required]
    return (free or questions)[0].name


def _duration(default: str = decisions.LONGEST) -> str:
    given = request.form.get("duration", "")
    return given if given in decisions.LENGTHS else default


def _consent_page(journey: _Journey, member: Membership, *, error: str = "", ticked: list[str] | None = None) -> Response:
    parked, client, now = journey.parked, _client(journey.parked), db.utcnow()
    asked = _asked(parked)
    before = decisions.find_standing(db.session, _me().id, client.client_id, member.business_id, now=now)
    questions = decisions.questions(client, asked, member.role, before, ticked=ticked)
    page = render_template(
        "consents/consent.html",
        business=member.business,
        role=roles.title(member.role),
        before=before,
        groups=[(*words, _in_group(group, questions, client)) for group, *words in GROUPS],
        durations=_durations(before, now=now),
        online=_online(questions, client),
        beyond=[catalogue.title(name, brand=web.brand()) for name in decisions.beyond_role(client, asked, member.role)],
        client=client,
        scopes=asked,
        error=error,
        about=_subject(error, questions),
        change_url=url_for("connect.business", **journey.query),
        **journey.context(4),
    )
    return make_response(page, 400 if error else 200)


def _in_group(group: str, questions: list[Question], client: Client) -> list[dict[str, Any]]:
    """The questions of one group as the page's rows show them."""
    brand = web.brand()
    return [
        {
            "name": one.name,
            "title": catalogue.title(one.name, brand=brand),
            "description": catalogue.CATALOGUE[one.name].description,
            "includes": [
                catalogue.title(part, brand=brand) for part in catalogue.in_order(catalogue.CATALOGUE[one.name].contains)
            ],
            "why": client.scope_reasons.get(one.name, ""),
            "is_required": one.is_required,
            "is_ticked": one.is_ticked,
            "is_new": one.is_new,
            "reason": one.reason,
        }
        for one in questions
        if catalogue.CATALOGUE[one.name].group == group
    ]


def _online(questions: list[Question], client: Client) -> str:
    """How far access reaches without offline access, which the durations would hide; "" when it cannot be left out."""
    offline = [one for one in questions if one.name == catalogue.OFFLINE_ACCESS and not one.reason]
    if offline and offline[0].is_required:
        return ""
    words = ONLINE.format(client.client_name, web.brand())
    return f"Without “{catalogue.title(catalogue.OFFLINE_ACCESS, brand=web.brand())}”, {words}" if offline else words


def _durations(before: Consent | None, *, now: datetime) -> list[dict[str, Any]]:
    """How long it may last, the choice of last time or the longest chosen."""
    chosen, row = _duration(before.duration if before else decisions.LONGEST), here().ensure()
    return [
        {
            "value": value,
            "title": title,
            "note": note,
            "until": decisions.ends_at(value, row, now=now),
            "is_chosen": value == chosen,
            "reason": "",
        }
        for value, (title, note) in DURATIONS.items()
    ]


# what both need


class _Journey(Journey):
    """A journey whose request is there."""

    parked: Interaction


def _journey() -> _Journey:
    """The parked request of this browser. Raises Gone when it has ended or belongs to another browser."""
    journey = _Journey.of_request()
    if journey.parked is None:
        raise Gone
    if not _client(journey.parked).is_active:
        raise Gone("The application is not open to anybody just now. Nothing was shared.", detail="client disabled")
    return journey  # type: ignore[return-value]


def _client(parked: Interaction) -> Client:
    return db.session.get_one(Client, parked.client_id)


def _asked(parked: Interaction) -> list[str]:
    """The scopes asked for, as the authorization endpoint checked and parked them."""
    asked: list[str] = parked.asking["scopes"]
    return asked


def _chosen(parked: Interaction) -> Membership | None:
    """The person's membership in the chosen business; None when there is none, or none in which they may connect."""
    found = membership.find_active(db.session, current_user.id, parked.business_id) if parked.business_id else None
    return found if found is not None and choices.may_connect(found) else None


def _me() -> User:
    user: User = current_user._get_current_object()
    return user
