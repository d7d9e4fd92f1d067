"""My account: how the person signs in, and where they are signed in."""

from __future__ import annotations

from typing import Any

from flask import current_app, flash, make_response, render_template, request, url_for
from flask_login import current_user, login_required
from werkzeug import Response

from portal import db
from portal.accounts import mfa, passwords, sessions, signin, users
from portal.accounts.browsers import name_browser
from portal.accounts.forms import PasswordForm
from portal.accounts.models import User
from portal.accounts.pages import bp, sign_out, wait_words
from portal.audit.record import record
from portal.errors import Conflict, NotFound
from portal.web import is_fragment, see_other

WRONG_PASSWORD = "That is not your current password."
NOT_THE_SAME = "The two new passwords are not the same."
SAME_AS_BEFORE = "That is your current password. Choose a new one."


@bp.get("/account")
@login_required
def account() -> Response:
    """Security and Sessions."""
    user = _me()
    page = render_template(
        "accounts/account.html",
        user=user,
        codes_left=mfa.count_recovery_codes(db.session, user.id) if user.mfa_on else 0,
        may_remove=sessions.current_settings().mfa == "optional",
        nav="account",
        **_sessions(),
    )
    return make_response(page)


def _sessions(said: str = "") -> dict[str, Any]:
    """What `_sessions.html` needs; `said` is what has just happened."""
    live = sessions.list_live(db.session, _me().id, now=db.utcnow())
    return {"said": said, "live": live, "here": sessions.here().ensure().id, "name_browser": name_browser}


# sessions


@bp.post("/account/sessions/<session_id>/end")
@login_required
def end_session(session_id: str) -> Response:
    """One browser is signed out; the list again."""
    found = sessions.find_own(db.session, _me().id, session_id)
    if found is None:
        raise NotFound("There is no such session of yours. Nothing was changed.")
    if found.id == sessions.here().ensure().id:
        return Response(status=200, headers={"HX-Redirect": sign_out().location}) if is_fragment() else sign_out()
    browser = name_browser(found.user_agent)
    if sessions.end(db.session, found.id, reason="ended_elsewhere", now=db.utcnow()):
        record(
            db.session, "user.session_ended", now=db.utcnow(), user_id=_me().id, user_name=_me().name, browser=browser, count=1
        )
        return _after_ending(f"{browser} is signed out.")
    return _after_ending(f"{browser} was signed out already.")


@bp.post("/account/sessions/end-others")
@login_required
def end_other_sessions() -> Response:
    """Every browser but this one is signed out; the list again."""
    row = sessions.here().renew()
    count = sessions.end_others(db.session, _me().id, keep=row.id, reason="ended_elsewhere", now=db.utcnow())
    if count:
        record(db.session, "user.session_ended", now=db.utcnow(), user_id=_me().id, user_name=_me().name, count=count)
    words = {0: "You were signed in nowhere else.", 1: "1 other session has ended."}
    return _after_ending(words.get(count, f"{count} other sessions have ended."))


def _after_ending(words: str) -> Response:
    if is_fragment():
        return make_response(render_template("accounts/_sessions.html", **_sessions(words)))
    flash(words, "success")
    return see_other(url_for("accounts.account", _anchor="sessions"))


# the password


@bp.get("/account/password")
@login_required
def change_password() -> Response:
    """Asks for the current password and a new one."""
    return _password_page(PasswordForm(None))


@bp.post("/account/password")
@login_required
def save_password() -> Response:
    """The password is changed and every other browser signed out; or the page again, saying why not."""
    form, user = PasswordForm.posted(), _me()
    if not _is_acceptable(form, user):
        return _password_page(form, 400)
    hasher = _app().extensions["portal-passwords"]
    db.commit()  # argon2 must not work inside a transaction that keeps others from writing
    with db.reader() as connection:
        checked = signin.check_password(
            connection, _app().keyring, hasher,
            email=user.email, password=form.current.data, address=request.remote_addr, now=db.utcnow(),
        )  # fmt: skip
    if not checked.is_right:
        refused_by, now = checked.refused_by, db.utcnow()
        signin.record_refusal(db.session, user_id=user.id, reason="password_change", refused_by=refused_by, now=now)
        form.current.errors = [wait_words(refused_by) if refused_by else WRONG_PASSWORD]
        return _password_page(form, 429 if refused_by else 400)
    new_hash = hasher.hash(form.new.data)
    signin.accept_password(db.session, _app().keyring, checked, address=request.remote_addr)
    _store(user, old_hash=checked.new_hash or checked.stored or "", new_hash=new_hash)
    return see_other(url_for("accounts.account"))


def _is_acceptable(form: Any, user: User) -> bool:
    if not form.validate():
        return False
    fault = passwords.find_fault(form.new.data, email=user.email)
    if fault is None and form.new.data == form.current.data:
        fault = SAME_AS_BEFORE
    if fault is not None:
        form.new.errors = [fault]
    elif form.again.data != form.new.data:
        form.again.errors = [NOT_THE_SAME]
    return fault is None and form.again.data == form.new.data


def _store(user: User, *, old_hash: str, new_hash: str) -> None:
    now = db.utcnow()
    if not users.change_password(db.session, user.id, old_hash=old_hash, new_hash=new_hash):
        raise Conflict("Your password was changed in the meantime. Nothing was changed now.")
    row = sessions.here().renew()
    others = sessions.end_others(db.session, user.id, keep=row.id, reason="password_changed", now=now)
    record(db.session, "user.password_changed", now=now, user_id=user.id, user_name=user.name, sessions_ended=others)
    flash("Your password is changed. Every other browser was signed out.", "success")


def _password_page(form: Any, status: int = 200) -> Response:
    return make_response(render_template("accounts/password.html", form=form, email=_me().email, nav="account"), status)


def _me() -> User:
    user: User = current_user._get_current_object()
    return user


def _app() -> Any:
    return current_app
