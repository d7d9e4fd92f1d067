"""Browser sessions: Flask's `session` and Flask-Login's `current_user`, kept in the database behind an opaque cookie.

The cookie holds 256 random bits; the row holds their digest, so a copy of the database opens no session. The row is
loaded on first use, which machine endpoints never make. A session ends by idling, by age, or by one UPDATE.

There are two cookies: `session` for somebody who signed in or is about to, and `visit` for nobody in particular. So the answer
to another tab, which begins a visit because the cookie it was sent with opens nothing any more, may come after the one that
signs in and takes nothing away.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from flask import Flask, Request, Response, current_app, g
from flask import session as flask_session
from flask.sessions import SessionInterface, SessionMixin
from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session, joinedload

from portal import crypto, db, web
from portal.accounts.models import BrowserSession, User
from portal.config import Settings

TOUCH_AFTER = timedelta(seconds=60)
AfterEnding = Callable[[Session, Sequence[str], datetime], object]
"""What a room above this one does in the same transaction when sessions have ended: the database, their ids, and when."""
_after_ending: list[AfterEnding] = []


class ServerSession(SessionMixin):
    """Flask's `session` over a BrowserSession row that is loaded when first read and made when first written."""

    def __init__(self, settings: Settings, request: Request) -> None:
        self._settings = settings
        self._request = request
        self._row: BrowserSession | None = None
        self._loaded_when_undone: bool | None = None
        self.secret_to_tell: str | None = None
        self.is_replaced = False
        """Whether the cookies that came with the request open nothing any more."""

    @property
    def row(self) -> BrowserSession | None:
        """The live row behind the cookie, or None for a browser that has none yet."""
        if self._loaded_when_undone is not db.was_undone():  # what this request made of it before is not so any more
            self._loaded_when_undone, self._row = db.was_undone(), None
            self._row = self._find()
            if self._row is not None:
                touch(self._row, self._settings, now=db.utcnow())
        return self._row

    def _find(self) -> BrowserSession | None:
        of_somebody, of_visit = (self._request.cookies.get(name) for name in cookie_names(self._settings))
        found = find_live(db.session, of_somebody, now=db.utcnow()) if of_somebody else None
        if found is None and of_visit:
            found = find_live(db.session, of_visit, now=db.utcnow())
            return found if found is not None and found.is_visit else None
        return found

    def ensure(self) -> BrowserSession:
        """The live row, made now if there is none."""
        if self.row is None:
            secret = crypto.new_secret()
            self._row = start(
                db.session, self._settings, secret, now=db.utcnow(),
                user_agent=self._request.headers.get("User-Agent", "")[:400], address=web.network_address(self._request),
            )  # fmt: skip
            self._hand_out(secret)
        return cast(BrowserSession, self._row)

    def renew(self) -> BrowserSession:
        """The same session under a new secret; called at every change of privilege, so a planted cookie gains nothing."""
        row = self.ensure()
        secret = crypto.new_secret()
        row.digest = crypto.digest(secret)
        row.data = {**row.data, "csrf_token": secrets.token_hex(20)}
        self.is_replaced = True
        self._hand_out(secret)
        return row

    def end(self, reason: str) -> None:
        """End this session; the browser goes on as nobody."""
        if self.row is not None:
            end(db.session, self.row.id, reason=reason, now=db.utcnow())
        self._row, self.secret_to_tell, self.is_replaced = None, None, True

    def _hand_out(self, secret: str) -> None:
        self.secret_to_tell = secret
        g.pop("csrf_token", None)  # Flask-WTF keeps the token it made for the request; it belongs to the old secret

    def __getitem__(self, key: str) -> Any:
        return (self.row.data if self.row else {})[key]

    def __setitem__(self, key: str, value: Any) -> None:
        row = self.ensure()
        if row.data.get(key, self) != value:
            row.data = {**row.data, key: value}

    def __delitem__(self, key: str) -> None:
        data = dict(self.row.data if self.row else {})
        del data[key]
        self.ensure().data = data

    def __iter__(self) -> Iterator[str]:
        return iter(self.row.data if self.row else {})

    def __len__(self) -> int:
        return len(self.row.data if self.row else {})


class DatabaseSessionInterface(SessionInterface):
    """Opens a ServerSession for each request without touching the database, and sets the cookies when they changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def open_session(self, app: Flask, request: Request) -> ServerSession:
        return ServerSession(self._settings, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if db.was_undone():  # a new secret was not stored, and a session that was to end goes on under the old one
            return
        kept = cast(ServerSession, session)
        options: dict[str, Any] = {"path": "/", "secure": self._settings.is_https, "httponly": True, "samesite": "Lax"}
        for name, is_for_visits in zip(cookie_names(self._settings), (False, True), strict=True):
            if kept.secret_to_tell and kept.ensure().is_visit == is_for_visits:
                response.set_cookie(name, kept.secret_to_tell, **options)
            elif kept.is_replaced and name in web.current_request().cookies:
                response.delete_cookie(name, **options)
            # Any other cookie stays, though it opens nothing: a newer one may be on its way to the browser.


def cookie_name(settings: Settings) -> str:
    """The cookie of somebody; `cookie_names` has the one of nobody too."""
    return cookie_names(settings)[0]


def cookie_names(settings: Settings) -> tuple[str, str]:
    """In the order in which they are looked at: for somebody who signed in or is about to, and for a visit of nobody."""
    return ("__Host-session", "__Host-visit") if settings.is_https else ("session", "visit")


def here() -> ServerSession:
    """The session of this request, with its row."""
    return cast(ServerSession, flask_session._get_current_object())  # type: ignore[attr-defined]


def current() -> BrowserSession | None:
    """The row of this request's session, or None."""
    return here().row


def load_current_user(_request: Request) -> User | None:
    """Flask-Login's request loader: the person signed in to this browser session, while their account is active."""
    row = current()
    return row.user if row is not None and row.user is not None and row.user.is_active else None


def find_live(session: Session, secret: str, *, now: datetime) -> BrowserSession | None:
    """The session this cookie opens, with its user and their second factor; None when it ended or never was."""
    found = session.scalars(
        select(BrowserSession)
        .where(BrowserSession.digest == crypto.digest(secret))
        .options(joinedload(BrowserSession.user).joinedload(User.totp))
    ).one_or_none()
    return found if found is not None and found.is_live(now) else None


def start(
    session: Session, settings: Settings, secret: str, *, now: datetime, user_agent: str, address: str | None
) -> BrowserSession:
    """A new session of nobody in particular."""
    row = BrowserSession(
        digest=crypto.digest(secret),
        data={"csrf_token": secrets.token_hex(20)},
        user=None,
        amr=[],
        created_at=now,
        last_seen_at=now,
        idle_expires_at=now + timedelta(seconds=settings.session_idle_seconds),
        expires_at=now + timedelta(seconds=settings.session_absolute_seconds),
        user_agent=user_agent,
        network_address=address,
    )
    session.add(row)
    session.flush()
    return row


def touch(row: BrowserSession, settings: Settings, *, now: datetime) -> None:
    """Put off the idle end, at most once a minute."""
    if now - row.last_seen_at >= TOUCH_AFTER:
        row.last_seen_at = now
        row.idle_expires_at = now + timedelta(seconds=settings.session_idle_seconds)


def end(session: Session, session_id: str, *, reason: str, now: datetime) -> bool:
    """End one session, and with it every online access token. False when it had ended already."""
    return _end(session, BrowserSession.id == session_id, reason=reason, now=now) == 1


def _end(session: Session, *which: ColumnElement[bool], reason: str, now: datetime) -> int:
    """One write; and what depends on these sessions is told in the same transaction."""
    claim = update(BrowserSession).where(*which, BrowserSession.ended_at.is_(None)).values(ended_at=now, end_reason=reason)
    ended = session.scalars(claim.returning(BrowserSession.id)).all()
    for tell in _after_ending if ended else ():
        tell(session, ended, now)
    return len(ended)


def list_live(session: Session, user_id: str, *, now: datetime) -> list[BrowserSession]:
    """The live sessions of a person, the most recently used first."""
    return list(
        session.scalars(
            select(BrowserSession)
            .where(
                BrowserSession.user_id == user_id,
                BrowserSession.ended_at.is_(None),
                BrowserSession.idle_expires_at > now,
                BrowserSession.expires_at > now,
            )
            .order_by(BrowserSession.last_seen_at.desc())
        )
    )


def find_own(session: Session, user_id: str, session_id: str) -> BrowserSession | None:
    """A session of this person, live or ended; None for a stranger's and for none."""
    if not session_id.isalnum():
        return None
    return session.scalars(
        select(BrowserSession).where(BrowserSession.id == session_id, BrowserSession.user_id == user_id)
    ).one_or_none()


def end_others(session: Session, user_id: str, *, keep: str | None, reason: str, now: datetime) -> int:
    """End every live session of a person but the one to keep. Returns how many ended."""
    theirs = or_(BrowserSession.user_id == user_id, BrowserSession.pending_user_id == user_id)
    is_live = (BrowserSession.idle_expires_at > now, BrowserSession.expires_at > now)
    return _end(session, theirs, BrowserSession.id != (keep or ""), *is_live, reason=reason, now=now)


def prune(session: Session, *, before: datetime) -> int:
    """Delete the sessions that were over before this moment and nobody signed in to; the others tell who was here when.

    Returns how many there were.
    """
    is_over = or_(BrowserSession.ended_at < before, BrowserSession.idle_expires_at < before, BrowserSession.expires_at < before)
    unused = delete(BrowserSession).where(BrowserSession.user_id.is_(None), is_over)
    return session.execute(unused).rowcount  # type: ignore[attr-defined,no-any-return]


def init_app(app: Flask) -> None:
    app.session_interface = DatabaseSessionInterface(current_settings(app))


def after_ending(tell: AfterEnding) -> None:
    """Have this called whenever sessions are ended, once however many applications there are in this process."""
    if tell not in _after_ending:
        _after_ending.append(tell)


def current_settings(app: Flask | None = None) -> Settings:
    return cast(Settings, (app or current_app).settings)  # type: ignore[attr-defined]
