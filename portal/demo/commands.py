"""`flask demo load` and `flask demo code`."""

from __future__ import annotations

import ipaddress
import os
import time
from typing import Any
from urllib.parse import urlsplit

import click
import pyotp
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from portal import db
from portal.config import Settings
from portal.crypto import Keyring
from portal.demo import data
from portal.demo.people import TOTP_SECRET
from portal.funds.storage import StoreUnavailable

PARTNER_PORT = 5001

group = AppGroup("demo", help="Sample data, for a demo database only.")


@group.command("load")
def load_command() -> None:
    """Load the sample people, businesses, funds and partner applications. Where they are already, it does nothing but point the
    sample partner to PARTNER_PORT, when that is set."""
    app: Any = current_app
    port = os.environ.get("PARTNER_PORT")
    click.echo(load(app.settings, app.keyring, partner_origin=partner_origin(port), moves=bool(port)))


@group.command("code")
def code_command() -> None:
    """Print the six digits that the authenticator app of the sample people shows now."""
    click.echo(code())


def code() -> str:
    """The current authentication code, and for how long it is one."""
    left = 30 - int(time.time()) % 30
    return f"{pyotp.TOTP(TOTP_SECRET).now()} (for another {left} seconds; each code works once per person)"


def partner_origin(port: str | None) -> str:
    """Where the sample partner runs. Raises ClickException for what is no port."""
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise click.ClickException(f"PARTNER_PORT must be a port number, not {port!r}.")
    return f"http://127.0.0.1:{int(port or PARTNER_PORT)}"


def load(settings: Settings, keyring: Keyring, *, partner_origin: str, moves: bool = True) -> str:
    """Load what is missing, and say what was done; `moves` lets the sample partner that is there already go to `partner_origin`.

    Raises ClickException where the demo data has no business to be.
    """
    if settings.is_production and not _is_loopback(settings.host):
        raise click.ClickException(
            "The demo data is not loaded: its passwords are public, and this is a production portal that others can reach "
            f"({settings.issuer}). Set PORTAL_MODE=demo for a demo."
        )
    rules = current_app.extensions["portal-registration"]
    try:
        with db.transaction() as session:
            found = data.state(session)
            if found == data.FOREIGN:
                raise click.ClickException(
                    "The demo data is not loaded: this database holds other people’s data. Nothing was changed. "
                    "Point DATABASE_URL at an empty database."
                )
            if found == data.LOADED:
                is_moved = moves and data.point_partner(session, rules, partner_origin=partner_origin, now=db.utcnow())
                moved = f" The sample partner is at {partner_origin} now." if is_moved else ""
                return f"The demo data is there already.{moved}"
            counts = data.load(session, settings, keyring, rules, partner_origin=partner_origin, now=db.utcnow())
    except SQLAlchemyError as error:
        raise click.ClickException(
            f"The demo data could not be loaded ({type(error).__name__}). Is the schema there? flask db upgrade makes it."
        ) from None
    except StoreUnavailable as error:
        raise click.ClickException(
            f"The demo data could not be loaded: the store of documents cannot be written ({error.detail}). Nothing was changed. "
            "PORTAL_DOCUMENTS_URL says where it is."
        ) from None
    return "Loaded " + ", ".join(f"{count} {kind}" for kind, count in counts.items()) + "."


def _is_loopback(netloc: str) -> bool:
    host = urlsplit(f"//{netloc}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
