"""The table of calls: each says its path, its scope, its parameters and its answer; routes and OpenAPI come from it.

A call without a scope cannot be written down, and an unknown scope stops the portal from starting. So no route of the
API is ever open by oversight.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, current_app, request
from sqlalchemy import Connection

from portal import db
from portal.api import guard, parameters
from portal.api.parameters import Parameter
from portal.consents import catalogue
from portal.crypto import Keyring
from portal.oauth import tokens
from portal.oauth.tokens import AccessLookup

Body = Mapping[str, Any]

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
"""Made once. Dates and decimals become text; their `str` is the ISO date and the exact decimal."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call past the guard: what it may reach, what it asks, and the connection it reads on."""

    connection: Connection
    access: AccessLookup
    now: datetime
    given: Mapping[str, Any]
    keyring: Keyring

    @property
    def business_id(self) -> str:
        """The business of the token; never one that the request names."""
        return self.access.business_id


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One line of the table. Any of `scopes` opens it; `answer` names a schema of `schemas.SCHEMAS`."""

    path: str
    method: str
    scopes: tuple[str, ...]
    query: tuple[Parameter, ...]
    answer: str
    view: Callable[..., Body]

    @property
    def name(self) -> str:
        return self.view.__name__

    @property
    def summary(self) -> str:
        return (self.view.__doc__ or "").strip()

    def serve(self, **path: str) -> Response:
        """Guard, then view, then "last accessed": a call that is refused or fails moves nothing."""
        now = db.utcnow()
        app: Any = current_app
        with db.reader() as connection:
            access = guard.check(connection, request, self.scopes, settings=app.settings, now=now)
            given = parameters.read_all(self.query, request.args)
            body = self.view(Call(connection, access, now, given, app.keyring), **path)
            tokens.touch_consent(connection, access, now=now)
        return answer(body)


TABLE: list[Endpoint] = []
"""Every call that needs a token, in the order of the documentation."""


def endpoint(
    path: str, *, scope: str | tuple[str, ...], answer: str, method: str = "GET", query: tuple[Parameter, ...] = ()
) -> Callable[[Callable[..., Body]], Callable[..., Body]]:
    """Enter the decorated function into the table. Raises ValueError for a missing or unknown scope, and for a double."""
    scopes = (scope,) if isinstance(scope, str) else tuple(scope)
    if not scopes or catalogue.unknown(scopes):
        raise ValueError(f"{method} {path} needs a scope of the catalogue, not {scope!r}")
    if any(line.path == path and line.method == method for line in TABLE):
        raise ValueError(f"{method} {path} is in the table already")

    def enter(view: Callable[..., Body]) -> Callable[..., Body]:
        TABLE.append(Endpoint(path=path, method=method, scopes=scopes, query=query, answer=answer, view=view))
        return view

    return enter


def mount(blueprint: Blueprint) -> None:
    """Give each line of the table its route."""
    for line in TABLE:
        blueprint.add_url_rule(line.path, line.name, line.serve, methods=[line.method])


def answer(body: Body, status: int = 200) -> Response:
    """The JSON answer."""
    return Response(encode(body), status=status, mimetype="application/json")
