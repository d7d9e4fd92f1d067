"""The short way through the authorization endpoint, for `prompt=none` where nothing is left to ask.

An application that reads only while the person is signed in renews its access so, time and again. One statement reads
who is here and what stands, the same table of prompts is asked, and one more statement stores the code. In every other
case nothing has happened, and the ordinary way finds the page or the error.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from authlib.oauth2 import OAuth2Error
from sqlalchemy import Connection, and_, bindparam, insert, or_, select, update

from portal import crypto, db
from portal.accounts import sessions
from portal.accounts.models import BrowserSession, User
from portal.businesses.models import Business, Membership
from portal.clients.models import Client
from portal.config import Settings
from portal.consents import choices, standing
from portal.consents.models import Consent
from portal.db import Id, UtcDateTime, table_of
from portal.oauth import authorize
from portal.oauth import request as requests
from portal.oauth.authorize import Situation
from portal.oauth.models import Authorization
from portal.oauth.request import AuthorizationRequest, PageError, Refusal
from portal.statements import Prepared

TWO = 2
"""Enough rows to see that there is not just one."""

_session, _user = table_of(BrowserSession), table_of(User)
_client, _consent = table_of(Client), table_of(Consent)
_member, _business = table_of(Membership), table_of(Business)
_authorization = table_of(Authorization)
_business_id: Any = bindparam("business_id", type_=Id)
_now: Any = bindparam("now", type_=UtcDateTime())
_own = _session.alias("own")
"""The session of this browser; a consent may be bound to another."""

WHAT_STANDS = Prepared(
    select(
        _own.c.id.label("session_id"),
        _own.c.auth_time,
        _own.c.amr,
        _own.c.last_seen_at,
        _user.c.id.label("user_id"),
        _client.c.client_id,
        _client.c.application_type,
        _client.c.redirect_uris,
        _client.c.required_scopes,
        _client.c.scope.label("client_scope"),
        _client.c.disabled_at.label("client_disabled_at"),
        _consent.c.id.label("consent_id"),
        _consent.c.business_id,
        _consent.c.scope.label("consent_scope"),
        _consent.c.asked,
        _member.c.role,
        _business.c.connect_policy,
    )
    .select_from(
        _own.join(_user, _user.c.id == _own.c.user_id)
        .join(_client, _client.c.client_id == bindparam("client_id"))
        .join(_consent, and_(_consent.c.user_id == _user.c.id, _consent.c.client_id == _client.c.client_id))
        .join(_business, _business.c.id == _consent.c.business_id)
        .outerjoin(
            _member,
            and_(
                _member.c.user_id == _user.c.id,
                _member.c.business_id == _business.c.id,
                _member.c.accepted_at.is_not(None),
                _member.c.ended_at.is_(None),
            ),
        )
    )
    .where(
        _own.c.digest == bindparam("digest"),
        _own.c.ended_at.is_(None),
        _own.c.idle_expires_at > _now,
        _own.c.expires_at > _now,
        _user.c.disabled_at.is_(None),
        standing.is_standing(_now),
        or_(_business_id == "", _consent.c.business_id == _business_id),
    )
    .limit(bindparam("rows"))
)
STORED = (
    "id code_digest client_id user_id business_id consent_id browser_session_id session_id scope redirect_uri code_challenge nonce "
    "auth_time amr acr created_at code_expires_at"
).split()
STORE = Prepared(insert(_authorization).values({name: bindparam(name) for name in STORED}))
TOUCH = Prepared(
    update(_session)
    .where(_session.c.id == bindparam("session"))
    .values(last_seen_at=bindparam("seen_at"), idle_expires_at=bindparam("idle_end"))
)


def renew(
    connection: Connection, settings: Settings, parameters: dict[str, str], *, secret: str, now: datetime
) -> tuple[AuthorizationRequest, str] | None:
    """The request and its code, when `secret` is of a signed-in browser and nothing is left to ask; None for all else."""
    if "id_token_hint" in parameters or not _is_readable(parameters):
        return None
    rows = WHAT_STANDS.rows(
        connection, digest=crypto.digest(secret), client_id=parameters["client_id"],
        business_id=parameters.get("business_id", ""), now=now, rows=TWO,
    )  # fmt: skip
    if len(rows) != 1:
        return None
    situation = _situation(rows[0], settings, parameters, now=now)
    if situation is None:
        return None
    consent: Any = situation.consent
    scopes = authorize.opened_by(consent, situation.asked, situation.member)
    if not scopes:
        return None
    code, values = authorize.new_code(situation, consent, scopes)
    if now - rows[0].last_seen_at >= sessions.TOUCH_AFTER:
        idle_end = now + timedelta(seconds=settings.session_idle_seconds)
        TOUCH.run(connection, session=rows[0].session_id, seen_at=now, idle_end=idle_end)
    STORE.run(connection, **values)
    return situation.asked, code


def _is_readable(parameters: dict[str, str]) -> bool:
    """Whether the database may be asked for these names; the ordinary way tells what is wrong with others."""
    names = (parameters.get("client_id", ""), parameters.get("business_id", ""))
    return bool(names[0]) and all(name.isprintable() and name.isascii() for name in names)


def _situation(row: Any, settings: Settings, parameters: dict[str, str], *, now: datetime) -> Situation | None:
    """What the prompts ask about, answered from the row; None when the request is not in order, or one of them is needed."""
    client: Any = SimpleNamespace(
        client_id=row.client_id, application_type=row.application_type, redirect_uris=row.redirect_uris,
        required_scopes=row.required_scopes, scope=row.client_scope, disabled_at=row.client_disabled_at,
    )  # fmt: skip
    # A second factor that this session did not pass might be asked for; the ordinary way looks whether there is one.
    user = SimpleNamespace(id=row.user_id, is_active=True, mfa_on=True)
    here: Any = SimpleNamespace(id=row.session_id, user=user, auth_time=row.auth_time, amr=row.amr)
    try:
        asked = requests.check(client, parameters, set())
        situation = Situation(db.session, settings, asked, client, here, None, now)
        # what it would read from the database when asked
        situation.consent = _consent_of(row)
        situation.consents = {row.business_id: situation.consent}
        situation.member = _member_of(row)
        return situation if authorize.next_prompt(situation) is None else None
    except (PageError, Refusal, OAuth2Error):
        return None


def _consent_of(row: Any) -> Any:
    return SimpleNamespace(
        id=row.consent_id, user_id=row.user_id, business_id=row.business_id, asked=row.asked, scope=row.consent_scope,
        scopes=row.consent_scope.split(),
    )  # fmt: skip


def _member_of(row: Any) -> Any:
    """None where the person is no member any more, or may not connect applications."""
    if row.role is None:
        return None
    business = SimpleNamespace(connect_policy=row.connect_policy)
    member: Any = SimpleNamespace(business_id=row.business_id, role=row.role, is_active=True, business=business)
    return member if choices.may_connect(member) else None
