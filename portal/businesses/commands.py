"""`flask businesses add|list` and `flask members add|list`."""

from __future__ import annotations

import click
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import db
from portal.accounts import users
from portal.businesses import abn as abns
from portal.businesses import membership, roles
from portal.businesses.models import Business
from portal.commands import Commands
from portal.errors import PortalError
from portal.web import group_abn

businesses = Commands("businesses", help="The businesses of this portal.")
members = Commands("members", help="Who may act for which business.")


@businesses.command("add")
@click.option("--name", required=True, help="As people know it.")
@click.option("--abn", required=True, help="Australian Business Number, checked by its check digits.")
@click.option("--code", required=True, help="Short and unique; people tell businesses of one name apart by it.")
def add_business(name: str, abn: str, code: str) -> None:
    """Add a business."""
    name, abn, code = " ".join(name.split()), abns.normalise(abn), code.strip()
    if not abns.is_valid(abn):
        raise click.ClickException(f"{abn!r} is not an ABN: its check digits do not fit. Nothing was added.")
    if not 0 < len(name) <= 200 or not 0 < len(code) <= 32 or not (name + code).isprintable():
        raise click.ClickException("The name has 1 to 200 printable characters, the code 1 to 32. Nothing was added.")
    with db.transaction() as session:
        if session.scalar(select(Business.id).where(Business.code == code)):
            raise click.ClickException(f"There is a business with the code {code} already. Nothing was added.")
        business = Business(name=name, abn=abn, code=code, connect_policy="members", fund_count=0, created_at=db.utcnow())
        session.add(business)
        session.flush()
    click.echo(f"Added {name}, ABN {group_abn(abn)}, code {code}, id {business.id}.")


@businesses.command("list")
def list_businesses() -> None:
    """List the businesses by name."""
    for business in db.session.scalars(select(Business).order_by(Business.name, Business.code)):
        click.echo(f"{business.code}\t{business.name}\t{group_abn(business.abn)}\t{business.id}")


@members.command("add")
@click.argument("email")
@click.argument("business_code")
@click.argument("role", type=click.Choice(list(roles.ROLES)))
@click.option("--accepted", is_flag=True, help="A member at once, without an invitation to accept.")
def add_member(email: str, business_code: str, role: str, *, accepted: bool) -> None:
    """Invite a person to a business, or add them at once."""
    try:
        with db.transaction() as session:
            business = _business(session, business_code)
            user = users.find_by_email(session, users.normalise_email(email) or email)
            if user is None:
                raise click.ClickException(f"Nobody has the email {email}. Add them first: flask users add. Nothing was added.")
            membership.add(session, user, business, role, accepted=accepted, now=db.utcnow())
    except PortalError as error:
        raise click.ClickException(error.message) from None
    word = "Added" if accepted else "Invited"
    click.echo(f"{word} {user.email} to {business.name} ({business.code}) as {roles.title(role)}.")


@members.command("list")
@click.argument("business_code")
def list_members(business_code: str) -> None:
    """List the users of a business, invited ones too."""
    business = _business(db.session, business_code)
    for member in membership.list_of_business(db.session, business.id):
        state = "accepted" if member.accepted_at else "invited"
        click.echo(f"{member.user.email}\t{member.user.name}\t{member.role}\t{state}")


def _business(session: Session, code: str) -> Business:
    found = session.scalars(select(Business).where(func.lower(Business.code) == code.strip().lower())).first()
    if found is None:
        raise click.ClickException(f"There is no business with the code {code}. Nothing was changed.")
    return found
