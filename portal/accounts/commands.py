"""`flask users` and `flask sessions`: what the operator does for people, by hand."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import click
from flask import current_app
from sqlalchemy.exc import IntegrityError

from portal import db, interaction
from portal.accounts import mfa, passwords, sessions, throttle, users
from portal.accounts.models import User
from portal.commands import Commands

users_group = Commands("users", help="People who sign in.")
sessions_group = Commands("sessions", help="Browser sessions.")

KEEP_UNUSED = timedelta(days=1)


@users_group.command("add")
@click.argument("email")
@click.option("--given-name", required=True, help="First name.")
@click.option("--middle-name", help="Middle name.")
@click.option("--family-name", required=True, help="Last name.")
@click.option("--zoneinfo", help="Time zone in which times are shown, such as Australia/Perth.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it.")
def add_command(
    email: str, given_name: str, middle_name: str | None, family_name: str, zoneinfo: str | None, password_stdin: bool
) -> None:
    """Add a person who signs in with EMAIL. You vouch that the e-mail is theirs."""
    normal = _email(email)
    names: dict[str, Any] = {"given_name": given_name, "middle_name": middle_name, "family_name": family_name}
    for option, name in names.items():
        _check_name(option, name)
    if zoneinfo is not None and not users.is_zone(zoneinfo):
        raise click.ClickException(f"{zoneinfo!r} is not a time zone, such as Australia/Perth. Nothing was changed.")
    password_hash = _hasher().hash(_read_password(password_stdin, normal))
    try:
        with db.transaction() as session:
            user = users.add(session, email=normal, zoneinfo=zoneinfo, password_hash=password_hash, now=db.utcnow(), **names)
    except IntegrityError:
        raise click.ClickException(f"There is already a person with the e-mail {normal}. Nothing was changed.") from None
    click.echo(f"Added {user.name} <{normal}> with the id {user.id}. The second factor is set up at the first sign-in.")


@users_group.command("reset-mfa")
@click.argument("email")
def reset_mfa_command(email: str) -> None:
    """Take away the second factor of the person with EMAIL, who lost it, and end every session of theirs.

    They set up a new one at their next sign-in. First make sure that it is they who ask.
    """
    with db.transaction() as session:
        user = get_user(email)
        if not mfa.remove(session, user, now=db.utcnow(), by="operator"):
            raise click.ClickException(f"{user.email} has no second factor. Nothing was changed.")
        for limit in (throttle.CODE, throttle.CODE_A_DAY):
            throttle.forget(session, _app().keyring, limit, user.id)
        sessions.end_others(session, user.id, keep=None, reason="mfa_changed", now=db.utcnow())
    click.echo(f"Removed the second factor and the recovery codes of {user.name} <{user.email}>, and ended their sessions.")


@sessions_group.command("prune")
def prune_command() -> None:
    """Delete what is over and tells nothing: unused sessions, parked requests, and counts of failed attempts."""
    now = db.utcnow()
    with db.transaction() as session:
        unused = sessions.prune(session, before=now - KEEP_UNUSED)
        parked = interaction.prune(session, before=now - KEEP_UNUSED)
        windows = throttle.prune(session, now=now)
    click.echo(f"Deleted {unused} unused sessions, {parked} parked requests and {windows} counts of failed attempts.")


def _read_password(from_stdin: bool, email: str) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        raise click.ClickException("There is nobody to ask for the password. Give it with --password-stdin.")
    fault = passwords.find_fault(password, email=email)
    if fault is not None:
        raise click.ClickException(f"{fault} Nothing was changed.")
    return password


def _check_name(option: str, name: str | None) -> None:
    if name is not None and (not name.strip() or len(name) > users.MAX_NAME_LENGTH or not name.isprintable()):
        flag = "--" + option.replace("_", "-")
        raise click.ClickException(f"{flag} must be a name of at most {users.MAX_NAME_LENGTH} characters. Nothing was changed.")


def _email(typed: str) -> str:
    normal = users.normalise_email(typed)
    if normal is None:
        raise click.ClickException(f"{typed!r} is not an e-mail address. Nothing was changed.")
    return normal


def get_user(typed: str) -> User:
    """The person with this e-mail; ends the command in one line when there is none."""
    user = users.find_by_email(db.session, _email(typed))
    if user is None:
        raise click.ClickException(f"There is nobody with the e-mail {typed}. Nothing was changed.")
    return user


def _hasher() -> passwords.Passwords:
    hasher: passwords.Passwords = _app().extensions["portal-passwords"]
    return hasher


def _app() -> Any:
    return current_app
