"""What becomes of a form whose token is not of this session: it was open for too long, or another tab signed in meanwhile.

Nothing that the form asks for is done. What the person came for is kept, so that they lose a moment and not their way.
"""

from __future__ import annotations

from contextlib import suppress

from flask import flash, request, url_for
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug import Response

from portal import db, errors
from portal.accounts import journey as journeys
from portal.accounts import pages, sessions, signin, users
from portal.accounts.forms import CodeForm, SignInForm
from portal.accounts.journey import Journey
from portal.accounts.models import User
from portal.errors import FormOutOfDate
from portal.web import see_other

SIGNED_IN = "This page was open for too long, or its button was pressed twice. Nothing was changed."
SIGN_IN = "This page was open for too long, so it was not sent. Enter your password and try again."
CODE = "This page was open for too long, so it was not sent. Enter a code and try again."
OVER = "Your session has ended, so nothing was changed. Sign in, and do it again."


def answer(error: CSRFError) -> Response:
    """The page again for who is signing in, the sign-in page for who is no longer signed in, and else an error page."""
    refused = FormOutOfDate(detail=error.description)
    is_ours = "csrf_token" in request.form and "confirm" not in request.form  # which proves once more who is signed in
    with suppress(SQLAlchemyError):  # a page that needs no database is better than none
        made = _lead_on(refused) if is_ours else None
        db.commit()  # the view, which would do so, is not reached
        if made is not None:
            return made
    return errors.answer(refused)


def _lead_on(refused: FormOutOfDate) -> Response | None:
    journey, step = Journey.of_request(), STEPS.get(request.endpoint or "")
    pending = signin.find_pending(db.session, sessions.current(), now=db.utcnow())
    if current_user.is_authenticated and step is None:
        return None
    if current_user.is_authenticated and pending is None:
        return errors.answer(_signed_in_already(journey, refused))
    errors.note(refused)
    return _session_over(journey) if step is None else step(journey, pending)


def _signed_in_already(journey: Journey, refused: FormOutOfDate) -> FormOutOfDate:
    """What comes after the form, when another tab or another click took it meanwhile."""
    goal = (journey.goal(), "Go on")
    return FormOutOfDate(SIGNED_IN, title="You are signed in already", onward=goal, detail=refused.detail)


def _sign_in_again(journey: Journey, pending: User | None) -> Response:
    """The first step; or the second, when another tab or another click took the first meanwhile."""
    if pending is not None:
        return pages.code_page(CodeForm(None), recovery=False, status=400)
    form = SignInForm(None, email=request.form.get("email", "")[: users.MAX_EMAIL_LENGTH])
    form.form_errors.append(SIGN_IN)
    return pages.sign_in_page(form, journey, 400)


def _code_again(_journey: Journey, _pending: User | None) -> Response:
    """The second step, which itself goes back to the first when that is too long ago."""
    form = CodeForm(None)
    form.code.errors = [CODE]
    return pages.code_page(form, recovery=request.endpoint == "accounts.check_recovery", status=400)


def _session_over(journey: Journey) -> Response:
    """Who sent this was signed in when they opened the page; signing out is what they find done."""
    if request.endpoint == "accounts.sign_out":
        return pages.signed_out()
    flash(journeys.LOST if journey.is_lost else OVER, "warning")
    return see_other(url_for("accounts.sign_in", **journey.query)) if journey.query else pages.ask_to_sign_in()


STEPS = {
    "accounts.check_sign_in": _sign_in_again,
    "accounts.check_second_factor": _code_again,
    "accounts.check_recovery": _code_again,
}
