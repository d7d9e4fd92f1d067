"""The pages of signing in and out. Each takes its journey along and gives it back."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, current_app, flash, make_response, render_template, request, url_for
from flask_login import current_user
from werkzeug import Response

from portal import db, interaction
from portal.accounts import journey as journeys
from portal.accounts import sessions, signin
from portal.accounts.forms import CodeForm, SignInForm
from portal.accounts.journey import Journey
from portal.accounts.models import BrowserSession, User
from portal.accounts.signin import Checked
from portal.accounts.throttle import Attempt
from portal.audit.record import record
from portal.errors import Gone, Unavailable
from portal.web import is_fragment, safe_next, see_other

bp = Blueprint("accounts", __name__)

WRONG_PASSWORD = "The email or the password is not right. Check both and try again."
WRONG_CODE = "That code is not right, or it was used already. Wait for the next code and try again."
WRONG_RECOVERY_CODE = "That recovery code is not right, or it was used already."
TOO_LATE = "Please sign in again: the second step took too long, or it was not begun in this browser."


# signing in


@bp.get("/login")
def sign_in() -> Response:
    """The sign-in page; somebody signed in sees it only to prove themselves again."""
    journey = Journey.of_request()
    again = journey.parked is not None or "confirm" in request.args
    if current_user.is_authenticated and not again:
        if journey.is_lost:
            flash(journeys.LOST, "warning")
        return see_other(journey.goal())
    own = current_user.email if current_user.is_authenticated else ""
    return sign_in_page(SignInForm(None, email=journey.login_hint or own), journey)


@bp.post("/login")
def check_sign_in() -> Response:
    """The password is right: on to the second factor, or signed in. Or the page again, saying why not."""
    journey = Journey.of_request()
    form = SignInForm.posted()
    if not form.validate():
        return sign_in_page(form, journey, 400)
    try:
        checked = _check_password(form)
    except Unavailable as busy:
        form.form_errors.append(busy.message)
        return sign_in_page(form, journey, busy.status, busy.headers)
    user = signin.accept_password(db.session, _app().keyring, checked, address=request.remote_addr)
    if user is None:
        return _refuse_password(form, journey, checked)
    row = _take_session(user, journey)
    if user.mfa_on:
        signin.begin(row, user, now=db.utcnow())
        return see_other(url_for("accounts.second_factor", **journey.query))
    signin.complete(db.session, row, user, amr=signin.PASSWORD, now=db.utcnow())
    return _onward(journey, row, "login")


def _check_password(form: Any) -> Checked:
    db.commit()  # what was read so far; argon2 must not work inside a transaction that keeps others from writing
    with db.reader() as connection:
        return signin.check_password(
            connection, _app().keyring, _app().extensions["portal-passwords"],
            email=form.email.data, password=form.password.data, address=request.remote_addr, now=db.utcnow(),
        )  # fmt: skip


def _refuse_password(form: Any, journey: Journey, checked: Checked) -> Response:
    now = db.utcnow()
    signin.record_refusal(db.session, user_id=checked.user_id, reason="password", refused_by=checked.refused_by, now=now)
    if checked.refused_by is None:
        form.form_errors.append(WRONG_PASSWORD)
        return sign_in_page(form, journey, 400)
    form.form_errors.append(wait_words(checked.refused_by))
    return sign_in_page(form, journey, 429, _retry_after(checked.refused_by))


def sign_in_page(form: Any, journey: Journey, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    page = render_template(
        "accounts/login.html",
        form=form,
        lost=journeys.LOST if journey.is_lost else "",
        confirm=current_user.is_authenticated and "confirm" in request.values,
        **journey.context(1),
    )
    return make_response(page, status, headers or {})


def _take_session(user: User, journey: Journey) -> BrowserSession:
    """This browser's session under a new secret; a new session when somebody else was signed in."""
    row = sessions.here().ensure()
    return sessions.here().renew() if row.user_id in (None, user.id) else _replace_session(journey)


def _replace_session(journey: Journey) -> BrowserSession:
    here = sessions.here()
    old = here.ensure()
    if old.user is not None:
        record(
            db.session, "user.signed_out", now=db.utcnow(), user_id=old.user.id, user_name=old.user.name, reason="switched_user"
        )
    here.end("switched_user")
    new = here.ensure()
    journey.carry_over(old_session_id=old.id, new_session_id=new.id)
    return new


# the second factor


@bp.get("/login/mfa")
def second_factor() -> Response:
    """Asks for the code of the authenticator app."""
    return code_page(CodeForm(None), recovery=False)


@bp.get("/login/recovery")
def recovery() -> Response:
    """Asks for one of the recovery codes instead."""
    return code_page(CodeForm(None), recovery=True)


@bp.post("/login/mfa")
def check_second_factor() -> Response:
    """Signed in, or the page again."""
    return _check_code(recovery=False)


@bp.post("/login/recovery")
def check_recovery() -> Response:
    """Signed in and told how many codes are left, or the page again."""
    return _check_code(recovery=True)


def _check_code(*, recovery: bool) -> Response:
    journey, form, now = Journey.of_request(), CodeForm.posted(), db.utcnow()
    user = signin.find_pending(db.session, sessions.current(), now=now)
    if user is None or not form.validate():
        return code_page(form, recovery=recovery, status=400)
    checked = signin.check_code(db.session, _app().keyring, user, form.code.data, recovery=recovery, now=now)
    if not checked.is_right:
        signin.record_refusal(db.session, user_id=user.id, reason="code", refused_by=checked.refused_by, now=now)
        if checked.refused_by is not None:
            form.code.errors = [wait_words(checked.refused_by)]
            return code_page(form, recovery=recovery, status=429, headers=_retry_after(checked.refused_by))
        form.code.errors = [WRONG_RECOVERY_CODE if recovery else WRONG_CODE]
        return code_page(form, recovery=recovery, status=400)
    row = sessions.here().renew()
    prompts = ("login", "mfa") if row.pending_user_id else ("mfa",)
    amr = signin.PASSWORD_AND_RECOVERY if recovery else signin.PASSWORD_AND_CODE
    signin.complete(db.session, row, user, amr=amr, now=now)
    return _onward(journey, row, *prompts)


def code_page(form: Any, *, recovery: bool, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    journey = Journey.of_request()
    user = signin.find_pending(db.session, sessions.current(), now=db.utcnow())
    if user is None:
        flash(TOO_LATE, "warning")
        return see_other(url_for("accounts.sign_in", **journey.query))
    form.code.data = ""  # a code is never shown again
    page = render_template("accounts/mfa.html", form=form, recovery=recovery, email=user.email, **journey.context(2))
    return make_response(page, status, headers or {})


def _onward(journey: Journey, row: BrowserSession, *prompts: str) -> Response:
    if journey.is_lost:
        flash(journeys.LOST, "warning")
    journey.answer(*prompts)
    return journey.onward(row)


# leaving


@bp.post("/logout")
def sign_out() -> Response:
    """The session has ended, and with it every connection that lasts only while signed in."""
    if current_user.is_authenticated:
        record(db.session, "user.signed_out", now=db.utcnow(), user_id=current_user.id, user_name=current_user.name)
    sessions.here().end("signed_out")
    return signed_out()


@bp.post("/login/switch")
def switch_user() -> Response:
    """Somebody else signs in, and goes on with the same request of the partner."""
    journey = Journey.of_request()
    _replace_session(journey)
    return see_other(url_for("accounts.sign_in", **journey.query))


@bp.post("/login/leave")
def leave() -> Response:
    """Back to who asks, with a no; nobody has to sign in for that. Raises Gone when nobody asks in this browser."""
    journey = Journey.of_request()
    if journey.parked is None:
        raise Gone
    interaction.decide(db.session, journey.parked, {"allow": False})
    return see_other(journey.goal())


# what others need


def signed_out() -> Response:
    """What somebody sees who has left."""
    flash("You are signed out.", "success")
    return see_other(url_for("accounts.sign_in"))


def ask_to_sign_in() -> Response:
    """The answer of a page that needs somebody signed in."""
    return to_sign_in(next=page_they_are_on())


def to_sign_in(**query: Any) -> Response:
    """On to the sign-in page, also from a part of a page."""
    location = url_for("accounts.sign_in", **query)
    return Response(status=200, headers={"HX-Redirect": location}) if is_fragment() else see_other(location)


def page_they_are_on() -> str | None:
    """Path and query of the page that was asked for, or whose part or form was: to come back to."""
    if is_fragment():
        target = _path_of(request.headers.get("HX-Current-URL", ""))
    else:
        target = request.full_path.rstrip("?") if request.method == "GET" else request.form.get("back", "")
    return target if len(target) <= journeys.MAX_NEXT_LENGTH and safe_next(target, "") else None


def _path_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.path}?{parts.query}".rstrip("?")


def _app() -> Any:
    return current_app


def wait_words(attempt: Attempt) -> str:
    """When the person may try again."""
    count, unit = -(-attempt.seconds_left(db.utcnow()) // 60), "minute"
    if count > 90:
        count, unit = -(-count // 60), "hour"
    return f"Too many attempts. For your safety, try again in {count} {unit}{'s' if count != 1 else ''}."


def _retry_after(attempt: Attempt) -> dict[str, str]:
    return {"Retry-After": str(attempt.seconds_left(db.utcnow()))}
