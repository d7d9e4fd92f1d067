"""The table of calls: each says its path, its scope, what it takes and what it answers; routes and OpenAPI come from it.

A call without a scope cannot be written down, and an unknown scope stops the portal from starting. So no route of the
API is ever open by oversight.

A call that reads works on a connection that commits each statement by itself. A call that writes first takes in and
checks its whole body, and then works in the one transaction of its request, which the edge commits when an answer is
returned and undoes when anything is raised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from flask import Blueprint, Response, current_app, request
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from portal import db
from portal.api import answers, bodies, guard, idempotency, parameters
from portal.api.answers import Answer, Body
from portal.api.bodies import BodyKind, JsonBody, Sent
from portal.api.parameters import Parameter
from portal.consents import catalogue
from portal.crypto import Keyring
from portal.errors import PortalError
from portal.oauth import uses
from portal.oauth.tokens import AccessLookup

__all__ = ["PATH_PARAMETER", "TABLE", "Answer", "Body", "Call", "Endpoint", "WritingCall", "endpoint", "mount"]

PATH_PARAMETER = re.compile(r"<(\w+)>")
View = Callable[..., Body | Answer | Response]
"""Returns the body, or an Answer that says more about it; one that reads may return a whole Response when the body is no JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call past the guard: what it may reach, what it asks, and the connection it works on."""

    connection: Connection
    access: AccessLookup
    now: datetime
    given: Mapping[str, Any]
    keyring: Keyring

    @property
    def business_id(self) -> str:
        """The business of the token; never one that the request names."""
        return self.access.business_id


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingCall(Call):
    """A call that changes something: its body, checked whole, and the transaction that `connection` is in too."""

    session: Session
    body: Any
    versions: frozenset[int] | None
    """Those that `If-Match` names; a change is for one of them only. None when it may go without and does."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One line of the table. Any of `scopes` opens it; `answer` names a schema of `schemas.SCHEMAS`, as `body.schema` does.

    It is None for the one kind of answer that is no JSON: the content of a document.
    """

    path: str
    method: str
    scopes: tuple[str, ...]
    query: tuple[Parameter, ...]
    answer: str | None
    view: View
    status: int = 200
    body: BodyKind | None = None
    conditional: bool = False
    """Refuses to work without `If-Match`."""
    idempotent: bool = False
    """Takes an `Idempotency-Key`."""
    refuses: tuple[type[PortalError], ...] = ()
    """The refusals of its own that the view may raise, for the description."""

    @property
    def name(self) -> str:
        return self.view.__name__

    @property
    def summary(self) -> str:
        return (self.view.__doc__ or "").strip()

    @property
    def subject(self) -> str:
        """What the call is about: the name of the file it is written in, such as “Funds”."""
        return self.view.__module__.rpartition(".")[2].capitalize()

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def may_be_conditional(self) -> bool:
        """Takes `If-Match`: what puts something in place of something else may say in place of what."""
        return self.conditional or self.method == "PUT"

    def serve(self, **path: str) -> Response:
        """Guard, then view, then "last accessed": a call that is refused or fails moves nothing. Refused ones are counted."""
        return self._write(path) if self.writes else self._read(path)

    def _read(self, path: dict[str, str]) -> Response:
        app: Any = current_app
        now = db.utcnow()
        with db.reader() as connection:
            access = guard.check(connection, request, self.scopes, settings=app.settings, now=now)
            with uses.Refusals(connection, access, self.scopes, now=now):
                given = parameters.read_all(self.query, request.args)
                call = Call(connection=connection, access=access, now=now, given=given, keyring=app.keyring)
                made = self.view(call, **path)
            uses.note(connection, access, self.scopes, now=now)
        return made if isinstance(made, Response) else answers.reading(made, request)

    def _write(self, path: dict[str, str]) -> Response:
        """The guard asks twice: before anything is taken in, and again once all has arrived, which may take its time."""
        app: Any = current_app
        with db.reader() as connection:
            access = guard.check(connection, request, self.scopes, settings=app.settings, now=db.utcnow())
        with uses.Refusals(connection, access, self.scopes, now=db.utcnow()):
            given = parameters.read_all(self.query, request.args)
            sent = self.body.read(request, access) if self.body else Sent(None, b"")
            versions = answers.versions_to_change(request, required=self.conditional) if self.may_be_conditional else None
            key = idempotency.read_key(request) if self.idempotent else None

        connection, now = db.session.connection(), db.utcnow()
        access = guard.check(connection, request, self.scopes, settings=app.settings, now=now)
        call = WritingCall(
            connection=connection, access=access, now=now, given=given, keyring=app.keyring, session=db.session, body=sent.value,
            versions=versions,
        )  # fmt: skip
        same = idempotency.digest_of(request.method, request.path, sent.digest, versions)
        with uses.Refusals(connection, access, self.scopes, now=now):
            reply = idempotency.once(
                connection, access, key, same, lambda: answers.reply(cast(Answer, self.view(call, **path)), self.status), now=now
            )
        uses.note(connection, access, self.scopes, now=now)
        return reply.as_response()


TABLE: list[Endpoint] = []
"""Every call that needs a token, in the order of the documentation."""


def endpoint(
    path: str,
    *,
    scope: str | tuple[str, ...],
    answer: str | None,
    method: str = "GET",
    status: int = 200,
    query: tuple[Parameter, ...] = (),
    body: str | BodyKind | None = None,
    conditional: bool = False,
    idempotent: bool = False,
    refuses: tuple[type[PortalError], ...] = (),
) -> Callable[[View], View]:
    """Enter the decorated function into the table. Raises ValueError for a missing or unknown scope, and for a double.

    `body` is the name of a schema, for JSON (for a PATCH: a merge patch), or an object that reads something else.
    """
    scopes = (scope,) if isinstance(scope, str) else tuple(scope)
    if not scopes or catalogue.unknown(scopes):
        raise ValueError(f"{method} {path} needs a scope of the catalogue, not {scope!r}")
    if any(line.path == path and line.method == method for line in TABLE):
        raise ValueError(f"{method} {path} is in the table already")
    if isinstance(body, str):
        shown = answer or body
        body = bodies.merge_patch(body, shown) if method == "PATCH" else JsonBody(body, shown)

    def enter(view: View) -> View:
        TABLE.append(
            Endpoint(
                path=path, method=method, scopes=scopes, query=query, answer=answer, view=view, status=status, body=body,
                conditional=conditional, idempotent=idempotent, refuses=refuses,
            )
        )  # fmt: skip
        return view

    return enter


def mount(blueprint: Blueprint) -> None:
    """Give each line of the table its route."""
    for line in TABLE:
        blueprint.add_url_rule(line.path, line.name, line.serve, methods=[line.method])
