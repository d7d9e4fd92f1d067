"""`flask keys` and `flask tokens`: the keys that sign ID tokens, and the tokens whose time is over, as the operator sees them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click
from flask import current_app
from sqlalchemy.orm import Session

from portal import db
from portal.commands import Commands
from portal.consents import lapsing, usage
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
@click.option(
    "--now",
    "at_once",
    is_flag=True,
    help="Withdraw every old key at once, because one leaked. ID tokens it signed are good no more.",
)
def rotate_command(replace_unreadable: bool, at_once: bool) -> None:
    """Make a new signing key of each algorithm; the first ones too, where there are none.

    The old ones sign no longer and stay published until the last token they signed has expired, unless --now is given.
    """
    app: Any = current_app
    with db.transaction() as session:
        if not replace_unreadable:
            _check_readable(session, app.keyring)
        had = len(keys.signing(session))
        if at_once:
            kids = keys.withdraw(session, app.keyring, now=db.utcnow())
        else:
            kids = keys.rotate(session, app.keyring, app.settings, now=db.utcnow())
    made = f"Made {len(kids)} signing keys: {', '.join(kids)}."
    fate = "are withdrawn: what they signed is good no more" if at_once else "stay published until their tokens are gone"
    click.echo(f"{made} " + (f"{had} old ones sign no longer and {fate}." if had else "There were none before."))


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
    """Delete old keys that are not published any more, once the sessions of their time are over."""
    app: Any = current_app
    with db.transaction() as session:
        kids = keys.prune(session, app.settings, now=db.utcnow())
    click.echo(f"Deleted {len(kids)} old keys{': ' + ', '.join(kids) if kids else ''}.")


@tokens_group.command("prune")
def prune_tokens_command() -> None:
    """Delete the tokens, codes, pushed requests and assertion ids whose time is over, and old counts of uses.

    Who could read what, and when, stays. The ends of consents that have run out are recorded where no worker has done so yet.
    """
    app: Any = current_app
    now, most = db.utcnow(), pruning.AT_ONCE
    before = app.extensions[usage.EXTENSION].day_of(now) - timedelta(days=app.settings.usage_kept_days)

    def all_of(prune: Callable[..., int]) -> int:
        return _in_batches(lambda session: prune(session, now=now), most)

    access_tokens, refresh_tokens = all_of(pruning.prune_access_tokens), all_of(pruning.prune_refresh_tokens)
    authorizations = all_of(pruning.prune_authorizations)
    pushed_requests, assertion_ids = all_of(pruning.prune_pushed_requests), all_of(pruning.prune_assertion_ids)
    uses = _in_batches(lambda session: usage.prune(session, before=before, most=most), most)
    ends = lapsing.record_all(db.current_database().pages, now=now)
    click.echo(
        f"Deleted {access_tokens} access tokens, {refresh_tokens} refresh tokens, {authorizations} authorizations, "
        f"{pushed_requests} pushed requests, {assertion_ids} assertion ids and {uses} counts of uses. "
        f"Recorded the ends of {ends} consents."
    )


def _in_batches(delete: Callable[[Session], int], most: int) -> int:
    """Each in a transaction of its own, so that what is deleted is never locked for long."""
    total = 0
    while True:
        with db.transaction() as session:
            deleted = delete(session)
        total += deleted
        if deleted < most:
            return total


def _check_readable(session: Session, keyring: Keyring) -> None:
    try:
        keys.check_readable(session, keyring)
    except DecryptionError:
        raise click.ClickException(
            "The signing keys in the database do not open with PORTAL_SECRET_KEY. Nothing was changed. Start with the key they "
            "were made under, or replace them for good with --replace-unreadable."
        ) from None
