"""`flask clients`: how the operator registers partner applications, changes them, and stops them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import click
from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal import db
from portal.clients import metadata, registration
from portal.clients.metadata import RegistrationError, Rules
from portal.clients.models import Client
from portal.commands import Commands

group = Commands("clients", help="Partner applications.")

OVERLAP_HOURS = 24
json_option = click.option(
    "--json", "source", required=True, metavar="FILE|-", help="The registration as a JSON object; - reads standard input."
)
similar_option = click.option("--similar-name", is_flag=True, help="Take a name that looks like another publisher’s.")


@group.command("register")
@json_option
@click.option("--resource-server", is_flag=True, help="It stands for an API of yours, and may introspect every token.")
@similar_option
def register_command(source: str, resource_server: bool, similar_name: bool) -> None:
    """Register a partner application, and print its client_id and, this once, its client_secret.

    The members are those of RFC 7591 §2, with publisher, required_scopes, scope_reasons and logo (logos/NAME, a file
    below static/). Everything is checked before anything is stored, and every mistake is named. Unknown members are
    mistakes. Loopback redirect URIs are written with 127.0.0.1 or [::1]; a native application may use any port there.
    """
    with changing("registered") as session:
        client, secret = registration.register(
            session, _read(source), _rules(), resource_server=resource_server, similar_name=similar_name, now=db.utcnow()
        )
    _print(client, secret)
    click.echo(f"Registered {client.client_name} of {client.publisher} as {client.client_id}.{_only_now(secret)}", err=True)


@group.command("update")
@click.argument("client_id")
@json_option
@click.option("--resource-server/--no-resource-server", default=None, help="Whether it may introspect every token.")
@similar_option
def update_command(client_id: str, source: str, resource_server: bool | None, similar_name: bool) -> None:
    """Change the registration of CLIENT_ID: members that are named are replaced, null takes one away, others stay.

    Consents that were given before stand as they are; fewer scopes here means that no more can be asked for.
    """
    with changing("changed") as session:
        client = get_client(session, client_id, for_update=True)
        changed, secret = registration.change(
            session,
            client,
            _read(source),
            _rules(),
            resource_server=resource_server,
            similar_name=similar_name,
            now=db.utcnow(),
        )
    _print(client, secret)
    what = (
        f"Changed {', '.join(changed)} of {client.client_id}."
        if changed
        else f"{client.client_id} is as the document says already."
    )
    click.echo(what + _only_now(secret), err=True)


@group.command("rotate-secret")
@click.argument("client_id")
@click.option(
    "--overlap-hours",
    type=click.IntRange(0, 24 * 90),
    default=OVERLAP_HOURS,
    show_default=True,
    help="How long the secret of before goes on working; 0 stops it now.",
)
def rotate_secret_command(client_id: str, overlap_hours: int) -> None:
    """Make a new secret for CLIENT_ID and print it, this once. Two secrets overlap at most: one from before those stops."""
    with changing("changed") as session:
        client = get_client(session, client_id, for_update=True)
        secret = registration.rotate_secret(session, client, overlap=timedelta(hours=overlap_hours), now=db.utcnow())
    click.echo(json.dumps({"client_id": client.client_id, "client_secret": secret}, indent=2))
    before = f"works for another {overlap_hours} hours" if overlap_hours else "does not work any more"
    click.echo(f"Made a new secret for {client.client_id}; the one before {before}.{_only_now(secret)}", err=True)


@group.command("list")
def list_command() -> None:
    """List the partner applications: client_id, name, publisher, authentication, state."""
    with db.transaction() as session:
        for client in session.scalars(select(Client).order_by(Client.client_name, Client.client_id)):
            state = "active" if client.is_active else f"disabled since {client.disabled_at:%Y-%m-%d %H:%M} UTC"
            method = client.token_endpoint_auth_method + (", resource server" if client.is_resource_server else "")
            click.echo(f"{client.client_id}\t{client.client_name}\t{client.publisher}\t{method}\t{state}")


@group.command("show")
@click.argument("client_id")
def show_command(client_id: str) -> None:
    """Print the registration of CLIENT_ID as JSON that update takes, without secrets."""
    with db.transaction() as session:
        described = registration.describe(get_client(session, client_id))
    click.echo(json.dumps(described, indent=2, ensure_ascii=False))


@contextmanager
def changing(done: str) -> Iterator[Session]:
    """A transaction in which a mistake in the registration is told in one line."""
    try:
        with db.transaction() as session:
            yield session
    except RegistrationError as error:
        raise click.ClickException(f"Nothing was {done}: {error}.") from None
    except IntegrityError:
        raise click.ClickException(
            f"Nothing was {done}: somebody else did it at the same moment. Look at flask clients list."
        ) from None


def _read(source: str) -> dict[str, Any]:
    try:
        raw = sys.stdin.buffer.read(metadata.MAX_BYTES + 1) if source == "-" else Path(source).read_bytes()
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{source} cannot be read ({type(error).__name__}). Nothing was changed.") from None
    return metadata.read(raw)


def get_client(session: Session, client_id: str, *, for_update: bool = False) -> Client:
    """The client with this id; ends the command in one line when there is none."""
    client = registration.find(session, client_id, for_update=for_update)
    if client is None:
        raise click.ClickException(
            f"There is no client with the id {client_id!r}; flask clients list shows them. Nothing was changed."
        )
    return client


def _print(client: Client, secret: str | None) -> None:
    """The client as RFC 7591 §3.2.1 answers a registration."""
    answer: dict[str, Any] = {"client_id": client.client_id}
    if secret is not None:
        answer |= {"client_secret": secret, "client_secret_expires_at": 0}
    answer["client_id_issued_at"] = int(client.created_at.timestamp())
    click.echo(json.dumps(answer | registration.describe(client), indent=2, ensure_ascii=False))


def _only_now(secret: str | None) -> str:
    return "" if secret is None else " Its secret is shown only now; here only a digest of it is kept."


def _rules() -> Rules:
    return cast(Rules, current_app.extensions["portal-registration"])
