"""What becomes of a form whose token is not of this session: it was open for too long, or another tab signed in meanwhile.

Nothing that the form asks for is done. What the person came for is kept, so that they lose a moment and not their way.
"""

from __future__ import annotations

from dataclasses import replace

from flask import current_app, flash, request, url_for
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug import Response

from portal import db, errors
from portal.accounts import journey as journeys
from portal.accounts import pages, sessions, signin, users
from portal.accounts.forms import CodeForm, SignInForm
from portal.accounts.journey import Journey
from portal.errors import FormOutOfDate

SIGNED_IN = "This page was open for too long, or its button was pressed twice. Nothing was changed."
SIGN_IN = "This page was open for too long, so it was not sent. Enter your password and try again."
CODE = "This page was open for too long, so it was not sent. Enter a code and try again."
OVER = "Your session has ended, so nothing was changed. Sign in, and do it again."
STEPS = ("accounts.check_sign_in", "accounts.check_second_factor", "accounts.check_recovery")


def answer(error: CSRFError) -> Response:
    """The page again for who is signing in, the sign-in page for who is no longer signed in, and else an error page."""
    refused = FormOutOfDate(detail=error.description)
    if not _is_ours():
        return errors.answer(refused)
    try:
        made = _lead_on(refused)
        db.commit()  # the view, which would do so, is not reached
    except Exception as failed:  # noqa: BLE001, as what a view raises
        return current_app.make_response(current_app.handle_user_exception(failed))
    return made


def _is_ours() -> bool:
    """Whether the form carries a token and its browser a cookie of ours, which none brings that another site has sent."""
    sent = (name in request.cookies for name in sessions.cookie_names(sessions.current_settings()))
    return "csrf_token" in request.form and any(sent)


def _lead_on(refused: FormOutOfDate) -> Response:
    journey, is_step = Journey.of_request(), request.endpoint in STEPS
    is_pending = signin.find_pending(db.session, sessions.current(), now=db.utcnow()) is not None
    if current_user.is_authenticated and not (is_step and is_pending):
        return errors.answer(_with_a_way_on(refused, journey))
    if is_pending or (is_step and request.endpoint != "accounts.check_sign_in"):
        made = _code_again()
    else:
        made = _sign_in_again(journey) if is_step else _session_over(journey)
    errors.note(refused)
    return made


def _with_a_way_on(refused: FormOutOfDate, journey: Journey) -> FormOutOfDate:
    """For somebody signed in, whatever another tab or another click did meanwhile."""
    if request.endpoint in STEPS and "confirm" not in request.form:
        goal = (journey.goal(), "Go on")
        return FormOutOfDate(SIGNED_IN, title="You are signed in already", onward=goal, detail=refused.detail)
    place = journey.goal() if journey.parked else pages.page_they_are_on()
    if "confirm" in request.form:
        place = url_for("accounts.sign_in", confirm="1", **journey.query)
    return FormOutOfDate(detail=refused.detail, onward=(place, "Open the page again") if place else None)


def _sign_in_again(journey: Journey) -> Response:
    """The first step. The request of a partner that is not this session's may be the one's that another click has made."""
    if journey.is_lost:
        journey = replace(journey, is_lost=False, named=request.values["interaction"][: journeys.MAX_ID_LENGTH])
    form = SignInForm(None, email=request.form.get("email", "")[: users.MAX_EMAIL_LENGTH])
    form.form_errors.append(SIGN_IN)
    return pages.sign_in_page(form, journey, 400)


def _code_again() -> Response:
    """The second step, which itself goes back to the first when that is too long ago."""
    form = CodeForm(None)
    form.code.errors = [CODE]
    return pages.code_page(form, recovery=request.endpoint == "accounts.check_recovery", status=400)


def _session_over(journey: Journey) -> Response:
    """Who sent this was signed in when they opened the page; signing out is what they find done."""
    if request.endpoint == "accounts.sign_out":
        return pages.signed_out()
    flash(journeys.LOST if journey.is_lost else OVER, "warning")
    return pages.to_sign_in(**(journey.query or {"next": pages.page_they_are_on()}))
