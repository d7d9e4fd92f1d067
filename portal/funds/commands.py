"""`flask documents prune`."""

from __future__ import annotations

from datetime import timedelta

import click
from flask import current_app

from portal import db
from portal.commands import Commands
from portal.errors import PortalError
from portal.funds import pruning, storage

documents = Commands("documents", help="The contents of documents.")


@documents.command("prune")
@click.option("--hours", type=click.IntRange(1), default=24, show_default=True, help="Leave alone what is younger.")
def prune_command(hours: int) -> None:
    """Remove contents that no document has, and what broken uploads left."""
    store: storage.Store = current_app.extensions["portal-documents"]
    removed = 0
    try:
        for batch in pruning.batches(store, now=db.utcnow(), older_than=timedelta(hours=hours)):
            with db.transaction() as session:
                removed += pruning.prune(session, store, batch)
    except PortalError as error:
        raise click.ClickException(f"{error.title} ({error.detail}). Removed {removed} before that.") from None
    dead = storage.sweep(store)
    click.echo(f"Removed {removed} contents without a document and {dead} broken uploads.")
