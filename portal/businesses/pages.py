"""Who the users of a business are, who may connect applications to it, and the invitations that people answer."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from portal import db, web
from portal.businesses import membership, roles
from portal.businesses.models import Membership

bp = Blueprint("businesses", __name__)


def _here(business_id: str) -> Membership:
    return membership.get_active(db.session, current_user.id, business_id)


def _context(member: Membership, nav: str) -> dict[str, Any]:
    return {
        "nav": nav,
        "nav_business": member.business,
        "business": member.business,
        "member": member,
        "roles": roles.ROLES,
        "role_title": roles.title,
        "manages": roles.may_manage_users(member.role),
    }


@bp.post("/business/<business_id>/policy")
@login_required
def change_policy(business_id: str) -> ResponseReturnValue:
    """Set who may connect applications to this business."""
    member = _here(business_id)
    policy = request.form.get("connect_policy", "")
    membership.change_policy(db.session, member.business, policy, by=current_user, now=db.utcnow())
    flash(
        "Only Access Controllers may connect applications now. What is connected already stays connected."
        if policy == "access_controllers"
        else "Every accepted member may connect applications now, within the ceiling of their role."
    )
    return web.see_other(f"/business/{member.business_id}")


@bp.get("/business/<business_id>/users")
@login_required
def users(business_id: str) -> ResponseReturnValue:
    """The users of this business; who manages them changes roles and removes people here."""
    member = _here(business_id)
    people = membership.list_of_business(db.session, business_id)
    only_manager = membership.find_only_manager(people)
    return render_template("businesses/users.html", **_context(member, "users"), people=people, only_manager=only_manager)


@bp.post("/business/<business_id>/users/<membership_id>/role")
@login_required
def change_role(business_id: str, membership_id: str) -> ResponseReturnValue:
    """Give one user another role; it takes effect on the next call of every application."""
    member = _here(business_id)
    person = membership.get_of_business(db.session, business_id, membership_id)
    role = request.form.get("role", "")
    changed = membership.change_role(db.session, person, role, by=current_user, now=db.utcnow())
    title = roles.title(person.role)
    message = f"{person.user.name} is {title} now." if changed else f"{person.user.name} was {title} already."
    return _user_row(member, person, message)


@bp.post("/business/<business_id>/users/<membership_id>/remove")
@login_required
def remove(business_id: str, membership_id: str) -> ResponseReturnValue:
    """Remove one user; all they allowed stops at once."""
    member = _here(business_id)
    person = membership.get_of_business(db.session, business_id, membership_id)
    membership.end(db.session, person, by=current_user, now=db.utcnow())
    message = f"{person.user.name} was removed. What they had allowed opens nothing from now on."
    if person.user_id == current_user.id:
        flash(message, "success")
        return _leave()
    return _user_row(member, person, message)


def _leave() -> ResponseReturnValue:
    """To one's businesses, after giving up this one."""
    if web.is_fragment():
        return "", 200, {"HX-Redirect": "/businesses"}
    return web.see_other("/businesses")


def _user_row(member: Membership, person: Membership, message: str) -> ResponseReturnValue:
    """The row as it stands now: swapped in place by htmx, or shown by the page that the browser is sent back to."""
    if not web.is_fragment():
        flash(message, "success")
        return web.see_other(url_for("businesses.users", business_id=member.business_id))
    people = membership.list_of_business(db.session, member.business_id)
    return render_template(
        "businesses/_user.html",
        **_context(_here(member.business_id), "users"),
        person=person,
        message=message,
        only_manager=membership.find_only_manager(people),
        other=membership.find_only_manager([one for one in people if one.id != person.id]),
    )


@bp.post("/businesses/invitations/<membership_id>/accept")
@login_required
def accept(membership_id: str) -> ResponseReturnValue:
    """Take up an invitation."""
    business = membership.accept(db.session, membership_id, current_user, now=db.utcnow())
    flash(f"You are a user of {business.name} now.", "success")
    return web.see_other("/businesses")


@bp.post("/businesses/invitations/<membership_id>/decline")
@login_required
def decline(membership_id: str) -> ResponseReturnValue:
    """Turn down an invitation."""
    business = membership.decline(db.session, membership_id, current_user, now=db.utcnow())
    flash(f"You declined the invitation of {business.name}. The operator of {web.brand()} can invite you again.")
    return web.see_other("/businesses")
