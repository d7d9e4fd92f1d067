"""`flask keys` and `flask tokens`: the keys that sign ID tokens, and the tokens whose time is over, as the operator sees them."""

from __future__ import annotations

from typing import Any

import click
from flask import current_app
from sqlalchemy.orm import Session

from portal import db
from portal.commands import Commands
from portal.crypto import DecryptionError, Keyring
from portal.oauth import keys, pruning

group = Commands("keys", help="The keys that sign ID tokens.")
tokens_group = Commands("tokens", help="Access and refresh tokens.")


@group.command("rotate")
@click.option(
    "--replace-unreadable",
    is_flag=True,
    help="Go on although the keys of now do not open with PORTAL_SECRET_KEY, because it was changed for good.",
)
def rotate_command(replace_unreadable: bool) -> None:
    """Make a new signing key of each algorithm; the first ones too, where there are none.

    The old ones sign no longer and stay published until the last token they signed has expired.
    """
    app: Any = current_app
    with db.transaction() as session:
        if not replace_unreadable:
            _check_readable(session, app.keyring)
        had = len(keys.signing(session))
        kids = keys.rotate(session, app.keyring, app.settings, now=db.utcnow())
    made = f"Made {len(kids)} signing keys: {', '.join(kids)}."
    stay = f"{had} old ones sign no longer and stay published until their tokens are gone."
    click.echo(f"{made} {stay if had else 'There were none before.'}")


@group.command("list")
def list_command() -> None:
    """List the signing keys, the newest first: kid, algorithm, when it was made, and what it does now."""
    with db.transaction() as session:
        now = db.utcnow()
        for key in keys.newest_first(session):
            state = "signs"
            if key.retires_at is not None:
                state = f"{'published' if key.retires_at > now else 'over, published'} until {key.retires_at:%Y-%m-%d %H:%M} UTC"
            click.echo(f"{key.kid}\t{key.algorithm}\t{key.created_at:%Y-%m-%d %H:%M} UTC\t{state}")


@group.command("prune")
def prune_command() -> None:
    """Delete old keys that are not published any more."""
    with db.transaction() as session:
        kids = keys.prune(session, now=db.utcnow())
    click.echo(f"Deleted {len(kids)} old keys{': ' + ', '.join(kids) if kids else ''}.")


@tokens_group.command("prune")
def prune_tokens_command() -> None:
    """Delete the tokens, pushed requests and assertion ids whose time is over. Who could read what, and when, stays."""
    with db.transaction() as session:
        gone = pruning.prune(session, now=db.utcnow())
    click.echo(
        f"Deleted {gone.access_tokens} access tokens, {gone.refresh_tokens} refresh tokens, "
        f"{gone.pushed_requests} pushed requests and {gone.assertion_ids} assertion ids."
    )


def _check_readable(session: Session, keyring: Keyring) -> None:
    try:
        keys.check_readable(session, keyring)
    except DecryptionError:
        raise click.ClickException(
            "The signing keys in the database do not open with PORTAL_SECRET_KEY. Nothing was changed. Start with the key they "
            "were made under, or replace them for good with --replace-unreadable."
        ) from None
