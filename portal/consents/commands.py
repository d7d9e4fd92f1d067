"""`flask clients` and `flask users`, continued: how the operator stops an application or a person, and lets them go on.

The groups belong to rooms below; these commands stand here because they tell the businesses, whose consents open nothing meanwhile.
"""

from __future__ import annotations

import click

from portal import db
from portal.accounts import sessions
from portal.accounts.commands import get_user, users_group
from portal.clients.commands import changing, get_client
from portal.clients.commands import group as clients_group
from portal.consents import stopping


@clients_group.command("disable")
@click.argument("client_id")
def disable_client_command(client_id: str) -> None:
    """Stop CLIENT_ID: nobody is sent to it, and its very next call is refused on every node. Consents are kept."""
    with changing("changed") as session:
        client = get_client(session, client_id)
        if not stopping.disable_client(session, client, now=db.utcnow()):
            raise click.ClickException(f"{client_id} is disabled already. Nothing was changed.")
    click.echo(f"Disabled {client.client_name} of {client.publisher} ({client_id}). Its next call is refused.")


@clients_group.command("enable")
@click.argument("client_id")
def enable_client_command(client_id: str) -> None:
    """Let CLIENT_ID go on, with the consents that still stand."""
    with changing("changed") as session:
        client = get_client(session, client_id)
        if not stopping.enable_client(session, client, now=db.utcnow()):
            raise click.ClickException(f"{client_id} is not disabled. Nothing was changed.")
    click.echo(f"Enabled {client.client_name} of {client.publisher} ({client_id}).")


@users_group.command("disable")
@click.argument("email")
def disable_user_command(email: str) -> None:
    """Stop the person with EMAIL from signing in, and end every session of theirs at once."""
    with db.transaction() as session:
        user = get_user(email)
        if not stopping.disable_user(session, user, now=db.utcnow()):
            raise click.ClickException(f"{user.email} is disabled already. Nothing was changed.")
        ended = sessions.end_others(session, user.id, keep=None, reason="ended_elsewhere", now=db.utcnow())
    click.echo(f"Disabled {user.name} <{user.email}> and ended {ended} session{'s' if ended != 1 else ''}.")


@users_group.command("enable")
@click.argument("email")
def enable_user_command(email: str) -> None:
    """Let the person with EMAIL sign in again."""
    with db.transaction() as session:
        user = get_user(email)
        if not stopping.enable_user(session, user, now=db.utcnow()):
            raise click.ClickException(f"{user.email} is not disabled. Nothing was changed.")
    click.echo(f"Enabled {user.name} <{user.email}>.")
