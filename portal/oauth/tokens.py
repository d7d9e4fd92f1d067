"""What a token opens right now: one indexed query that reads the token with everything its life depends on.

Live means: not expired, not spent, its consent neither revoked nor expired, client active, membership active, and for
online access the person's session alive. All of it is looked up at every use, so ending any of them is one write and
is true for the very next request on every node.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, case, func, or_, select, update

from portal import crypto
from portal.accounts.models import BrowserSession, User
from portal.businesses import roles
from portal.businesses.models import Business, Membership
from portal.clients.models import Client
from portal.consents import catalogue
from portal.consents.models import Consent
from portal.consents.standing import BY_ITSELF
from portal.db import table_of
from portal.oauth.client_authentication import AUTHENTICATION_COLUMNS
from portal.oauth.models import AccessToken, Authorization, RefreshToken
from portal.statements import Prepared

EXPIRED = "expired"
REVOKED = "revoked"
CONSENT_EXPIRED = "consent_expired"
SIGNED_OUT = "signed_out"
USER_LEFT = "user_left"
CLIENT_DISABLED = "client_disabled"
DEAD_REASONS = (REVOKED, CONSENT_EXPIRED, CLIENT_DISABLED, USER_LEFT, SIGNED_OUT, EXPIRED)
"""The words a refused client may act on, the most final first."""

_access, _refresh = table_of(AccessToken), table_of(RefreshToken)
_authorization, _consent, _client = table_of(Authorization), table_of(Consent), table_of(Client)
_membership, _business = table_of(Membership), table_of(Business)
_user, _session = table_of(User), table_of(BrowserSession)
_given_in = _session.alias("given_in")
"""The session that a consent is for, where it was given for one only; tokens may have come to be in another."""

STANDING_COLUMNS = (
    _authorization.c.id.label("authorization_id"),
    _authorization.c.client_id,
    _authorization.c.user_id,
    _authorization.c.business_id,
    _authorization.c.consent_id,
    _authorization.c.scope.label("authorized_scope"),
    _authorization.c.ended_at,
    _consent.c.scope.label("consent_scope"),
    _consent.c.expires_at.label("consent_expires_at"),
    _consent.c.last_accessed_at,
    _consent.c.revoked_at.label("consent_revoked_at"),
    _consent.c.revoke_reason,
    _client.c.disabled_at.label("client_disabled_at"),
    _membership.c.role,
    _membership.c.accepted_at,
    _membership.c.ended_at.label("membership_ended_at"),
    _user.c.disabled_at.label("user_disabled_at"),
    func.coalesce(_authorization.c.session_id, _consent.c.session_id).label("session_id"),
    _session.c.ended_at.label("session_ended_at"),
    _session.c.idle_expires_at.label("session_idle_expires_at"),
    _session.c.expires_at.label("session_expires_at"),
    _consent.c.session_id.label("given_in_session_id"),
    case(
        (
            _given_in.c.ended_at.is_(None),
            case(
                (_given_in.c.idle_expires_at < _given_in.c.expires_at, _given_in.c.idle_expires_at), else_=_given_in.c.expires_at
            ),
        )
    ).label("given_in_session_ends_at"),
)


BUSINESS_NAME = (
    select(_business.c.name).where(_business.c.id == _authorization.c.business_id).scalar_subquery().label("business_name")
)
"""For those who tell it; a call of the API does not."""


def standing(*columns: Any, of: Table | None = None) -> Select[Any]:
    """The SELECT of an authorization with all its life depends on, from the token table `of` when one is given."""
    source: Any = _authorization
    if of is not None:
        source = of.join(_authorization, _authorization.c.id == of.c.authorization_id)
    source = (
        source.join(_consent, _consent.c.id == _authorization.c.consent_id)
        .join(_client, _client.c.client_id == _authorization.c.client_id)
        .join(_user, _user.c.id == _authorization.c.user_id)
        .join(
            _membership,
            (_membership.c.user_id == _authorization.c.user_id) & (_membership.c.business_id == _authorization.c.business_id),
        )
        .outerjoin(_session, _session.c.id == func.coalesce(_authorization.c.session_id, _consent.c.session_id))
        .outerjoin(_given_in, _given_in.c.id == _consent.c.session_id)
    )
    return select(*STANDING_COLUMNS, *columns).select_from(source)


ACCESS_COLUMNS = (_access.c.scope.label("narrowed"), _access.c.issued_at, _access.c.expires_at, _access.c.revoked_at)
FIND_ACCESS = Prepared(standing(*ACCESS_COLUMNS, of=_access).where(_access.c.digest == bindparam("digest")))
FIND_ACCESS_AND_CLIENT = Prepared(
    standing(*ACCESS_COLUMNS, BUSINESS_NAME, *AUTHENTICATION_COLUMNS, of=_access).where(_access.c.digest == bindparam("digest"))
)
FIND_REFRESH = Prepared(
    standing(
        _refresh.c.issued_at, _refresh.c.used_at, _client.c.client_name, BUSINESS_NAME, *AUTHENTICATION_COLUMNS, of=_refresh
    ).where(_refresh.c.digest == bindparam("digest"))
)
FIND_USERINFO = Prepared(
    standing(
        *ACCESS_COLUMNS,
        BUSINESS_NAME,
        _user.c.email,
        _user.c.email_verified_at,
        _user.c.given_name,
        _user.c.middle_name,
        _user.c.family_name,
        _user.c.address,
        _user.c.zoneinfo,
        of=_access,
    ).where(_access.c.digest == bindparam("digest"))
)


def _owned(of: Table) -> Prepared:
    """The look-up of whose a token is, dead or alive."""
    source = of.join(_authorization, _authorization.c.id == of.c.authorization_id)
    source = source.join(_client, _client.c.client_id == _authorization.c.client_id)
    columns = (
        _authorization.c.id.label("authorization_id"),
        _authorization.c.client_id,
        _authorization.c.user_id,
        _authorization.c.business_id,
        _authorization.c.consent_id,
        _client.c.client_name,
    )
    owned = select(*columns, BUSINESS_NAME, *AUTHENTICATION_COLUMNS).select_from(source)
    return Prepared(owned.where(of.c.digest == bindparam("digest")))


FIND_ACCESS_OWNER, FIND_REFRESH_OWNER = _owned(_access), _owned(_refresh)

_due = _consent.alias("due")
TOUCH_CONSENT = Prepared(
    update(_consent)
    .where(
        _consent.c.id
        == select(_due.c.id)
        .where(
            _due.c.id == bindparam("consent_id"),
            or_(_due.c.last_accessed_at.is_(None), _due.c.last_accessed_at < bindparam("before")),
        )
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(last_accessed_at=bindparam("now"))
)
"""A row that somebody else is writing is left to them: a call that reads never waits for it. (SQLite has no row locks.)"""
REVOKE_ACCESS = Prepared(
    update(_access)
    .where(_access.c.digest == bindparam("presented"), _access.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"))
)


@dataclass(frozen=True, slots=True)
class AccessLookup:
    """An access token with what it opens. `dead_reason` is None while it is live, else a word of DEAD_REASONS."""

    row: Any
    dead_reason: str | None
    effective: catalogue.Effective

    @property
    def consent_id(self) -> str:
        return self.row.consent_id  # type: ignore[no-any-return]

    @property
    def client_id(self) -> str:
        return self.row.client_id  # type: ignore[no-any-return]

    @property
    def user_id(self) -> str:
        return self.row.user_id  # type: ignore[no-any-return]

    @property
    def business_id(self) -> str:
        return self.row.business_id  # type: ignore[no-any-return]

    @property
    def role(self) -> str:
        return self.row.role  # type: ignore[no-any-return]

    @property
    def last_accessed_at(self) -> datetime | None:
        return self.row.last_accessed_at  # type: ignore[no-any-return]


def find_access(connection: Connection, token: str, *, now: datetime, statement: Prepared = FIND_ACCESS) -> AccessLookup | None:
    """The access token with everything it depends on, live or dead; None when there never was one."""
    if not token.startswith(crypto.ACCESS_TOKEN):
        return None
    row = statement.first(connection, digest=crypto.digest(token))
    return None if row is None else look(row, now=now)


def look(row: Any, *, now: datetime) -> AccessLookup:
    """What an access token opens by its row."""
    reason = ended_reason(row, now=now)
    if reason is None and row.revoked_at is not None:
        reason = REVOKED
    if reason is None and row.expires_at <= now:
        reason = EXPIRED
    return AccessLookup(row, reason, effective(row, row.narrowed))


def effective(row: Any, narrowed: str | None = None) -> catalogue.Effective:
    """Scopes of the token ∩ scopes of the consent today ∩ the ceiling of the role today."""
    return catalogue.effective(narrowed or row.authorized_scope, row.consent_scope, roles.ceiling(row.role))


def ended_reason(row: Any, *, now: datetime) -> str | None:
    """Why the authorization of this row opens nothing any more, as a word of DEAD_REASONS; None while it stands."""
    if row.ended_at is not None or (row.consent_revoked_at is not None and row.revoke_reason not in BY_ITSELF):
        return REVOKED
    if row.consent_expires_at <= now or row.revoke_reason == EXPIRED:
        return CONSENT_EXPIRED
    if row.client_disabled_at is not None:
        return CLIENT_DISABLED
    if row.accepted_at is None or row.membership_ended_at is not None or row.user_disabled_at is not None:
        return USER_LEFT
    if row.revoke_reason == SIGNED_OUT:
        return SIGNED_OUT
    if row.given_in_session_id is not None and (row.given_in_session_ends_at is None or row.given_in_session_ends_at <= now):
        return SIGNED_OUT
    if row.session_id is None:
        return REVOKED if _was_offline(row) else None
    return SIGNED_OUT if _session_is_over(row, now) else None


def _was_offline(row: Any) -> bool:
    """Whether it was given for offline access, which the consent of today does not hold: there is no session to die with."""
    return catalogue.OFFLINE_ACCESS in row.authorized_scope and catalogue.OFFLINE_ACCESS not in row.consent_scope


def _session_is_over(row: Any, now: datetime) -> bool:
    return (
        row.session_expires_at is None
        or row.session_ended_at is not None
        or row.session_idle_expires_at <= now
        or row.session_expires_at <= now
    )
