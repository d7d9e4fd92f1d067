"""Registering partner applications, and changing, stopping and letting go on what is registered.

`metadata.check` says whether a document is good; this is what becomes of it. Each change writes its audit event into
the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal import crypto
from portal.audit import record
from portal.clients import metadata, names
from portal.clients.metadata import RegistrationError, Rules
from portal.clients.models import Client
from portal.db import new_id

WITH_SECRET = ("client_secret_basic", "client_secret_post")
DESCRIBED = [name for name in metadata.MEMBERS if name not in ("grant_types", "response_types")]
"""What a registration says of a client, and what can be changed by saying it anew."""


def register(
    session: Session,
    document: metadata.Document,
    rules: Rules,
    *,
    resource_server: bool = False,
    similar_name: bool = False,
    now: datetime,
) -> tuple[Client, str | None]:
    """A new client, and its secret if it has one: the only time it is known. Raises RegistrationError; then nothing was stored."""
    values = metadata.check(document, rules, resource_server=resource_server)
    client_id = document.get("client_id") or new_id()
    if session.get(Client, client_id) is not None:
        raise RegistrationError([f"client_id {client_id} is registered already"])
    if not similar_name:
        check_names(session, values, client_id=client_id)
    secret = crypto.new_secret(crypto.CLIENT_SECRET) if values["token_endpoint_auth_method"] in WITH_SECRET else None
    client = Client(client_id=client_id, **values, secret_digest=crypto.digest(secret) if secret else None, created_at=now)
    session.add(client)
    session.flush()
    _record(session, "client.registered", client, now=now, registration=_all_of(client))
    return client, secret


def change(
    session: Session,
    client: Client,
    document: metadata.Document,
    rules: Rules,
    *,
    resource_server: bool | None = None,
    similar_name: bool = False,
    now: datetime,
) -> tuple[list[str], str | None]:
    """Change what `document` names; null takes a member away, and what it does not name stays. The whole is checked anew.

    `client` was read for update. Returns the names of what is different now, and a secret if the client needs its first
    one. Raises RegistrationError; then nothing was changed.
    """
    if document.get("client_id", client.client_id) != client.client_id:
        raise RegistrationError([f"client_id cannot be changed; the command names {client.client_id}"])
    before = _all_of(client)
    merged = {name: value for name, value in (describe(client) | dict(document)).items() if value is not None}
    if "jwks" not in document and merged.get("token_endpoint_auth_method") != "private_key_jwt":
        merged.pop("jwks", None)
    wanted = client.is_resource_server if resource_server is None else resource_server
    values = metadata.check(merged, rules, resource_server=wanted)
    if not similar_name and {"client_name", "publisher"} & set(document):
        check_names(session, values, client_id=client.client_id)
    for name, value in values.items():
        setattr(client, name, value)
    after = _all_of(client)
    changes = {name: [before.get(name), after.get(name)] for name in {**before, **after} if before.get(name) != after.get(name)}
    secret = _fit_secret(client)
    session.flush()
    if changes:
        _record(session, "client.changed", client, now=now, changes=changes)
    return list(changes), secret


def _fit_secret(client: Client) -> str | None:
    """A first secret for a client that authenticates by one now, and none for one that does not any more."""
    if client.token_endpoint_auth_method not in WITH_SECRET:
        client.secret_digest = client.previous_secret_digest = client.previous_secret_expires_at = None
        return None
    if client.secret_digest is not None:
        return None
    secret = crypto.new_secret(crypto.CLIENT_SECRET)
    client.secret_digest = crypto.digest(secret)
    return secret


def check_names(session: Session, values: Mapping[str, Any], *, client_id: str) -> None:
    """Refuse names that people would take for those of another publisher. Raises RegistrationError."""
    found = session.execute(select(Client.client_name, Client.publisher).where(Client.client_id != client_id)).all()
    others = [row for row in found if row.publisher != values["publisher"]]
    mistakes = []
    for member in ("client_name", "publisher"):
        like = names.is_among(values[member], (name for row in others for name in row))
        if like is not None:
            mistakes.append(
                f"{member} {values[member]!r} would be taken for {like!r} of another publisher; --similar-name registers it all the same"
            )
    if mistakes:
        raise RegistrationError(mistakes)


def find(session: Session, client_id: str, *, for_update: bool = False) -> Client | None:
    """The client with this id, active or not; `for_update` keeps others from changing it until the transaction ends."""
    query = select(Client).where(Client.client_id == client_id)
    return session.scalars(query.with_for_update() if for_update else query).one_or_none()


def disable(session: Session, client: Client, *, now: datetime) -> bool:
    """Stop a client: every look-up asks for `disabled_at`, so its next call is refused. False when it was stopped already."""
    return _switch(session, client, "client.disabled", Client.disabled_at.is_(None), disabled_at=now, now=now)


def enable(session: Session, client: Client, *, now: datetime) -> bool:
    """Let a client go on, with the consents that stand. False when it was not stopped."""
    return _switch(session, client, "client.enabled", Client.disabled_at.is_not(None), disabled_at=None, now=now)


def _switch(session: Session, client: Client, kind: str, still: Any, *, disabled_at: datetime | None, now: datetime) -> bool:
    statement = update(Client).where(Client.client_id == client.client_id, still).values(disabled_at=disabled_at)
    if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
        return False
    _record(session, kind, client, now=now)
    return True


def rotate_secret(session: Session, client: Client, *, overlap: timedelta, now: datetime) -> str:
    """A new secret. The one before works for `overlap` longer; one from before that stops now. Raises RegistrationError."""
    if client.token_endpoint_auth_method not in WITH_SECRET:
        raise RegistrationError([f"{client.client_id} has no secret: it authenticates by {client.token_endpoint_auth_method}"])
    secret = crypto.new_secret(crypto.CLIENT_SECRET)
    overlaps = overlap > timedelta(0)
    session.execute(
        update(Client)
        .where(Client.client_id == client.client_id)
        .values(
            previous_secret_digest=Client.secret_digest if overlaps else None,
            previous_secret_expires_at=now + overlap if overlaps else None,
            secret_digest=crypto.digest(secret),
        )
    )
    until = (now + overlap).isoformat(timespec="seconds") if overlaps else None
    _record(session, "client.changed", client, now=now, secret_rotated=True, previous_secret_until=until)
    return secret


def describe(client: Client) -> dict[str, Any]:
    """A client in the words of its registration, without what is not set; never a secret."""
    described = {name: getattr(client, name) for name in DESCRIBED}
    return {name: value for name, value in described.items() if value not in (None, [], {}, "")}


def _all_of(client: Client) -> dict[str, Any]:
    return describe(client) | {"is_resource_server": client.is_resource_server}


def _record(session: Session, kind: str, client: Client, *, now: datetime, **detail: Any) -> None:
    record.record(
        session, kind, now=now, client_id=client.client_id, client_name=client.client_name, publisher=client.publisher, **detail
    )
