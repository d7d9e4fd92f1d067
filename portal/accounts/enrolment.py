"""The pages of the second factor: setting it up, replacing it, taking it away, and the recovery codes."""

from __future__ import annotations

from typing import Any

import segno
from flask import current_app, flash, make_response, render_template, url_for
from flask_login import current_user, login_required
from markupsafe import Markup
from werkzeug import Response

from portal import db, packing
from portal.accounts import mfa, sessions, signin
from portal.accounts.forms import CodeForm
from portal.accounts.journey import Journey
from portal.accounts.models import BrowserSession, User
from portal.accounts.pages import bp
from portal.errors import Forbidden
from portal.web import see_other

SETUP, SHOWN_ONCE, REPLACED = "mfa_setup", "recovery_codes", "recovery_codes_replaced"
"""What the session holds meanwhile: secrets encrypted, and whether there were earlier codes."""
WRONG_CODE = "That code does not match. Check that the time on your device is right, and enter the code it shows now."
STALE = "To change how you sign in, first confirm that it is you."
TIMED_OUT = "The set-up took too long, so a new key was made. Remove the old entry from your app and scan this code instead."


@bp.get("/account/mfa")
@login_required
def enrolment() -> Response:
    """A QR code and the same key as text, and a field for the first code of the app."""
    journey, (row, user) = Journey.of_request(), _here()
    if journey.parked is not None and user.mfa_on:
        has_proved = "mfa" in row.amr
        return see_other(journey.goal() if has_proved else url_for("accounts.second_factor", **journey.query))
    if not signin.may_change_security(row, user, now=db.utcnow()):
        return confirm_first("accounts.enrolment", journey)
    return _setup_page(CodeForm(None), journey, _waiting_secret(user) or _new_secret(user))


@bp.post("/account/mfa")
@login_required
def confirm_enrolment() -> Response:
    """The factor is on, and the recovery codes are next; or the page again."""
    journey, form, (row, user), now = Journey.of_request(), CodeForm.posted(), _here(), db.utcnow()
    secret = _waiting_secret(user)
    if secret is None:
        flash(TIMED_OUT, "warning")
        return see_other(url_for("accounts.enrolment", **journey.query))
    if not signin.may_change_security(row, user, now=now):  # the page may have stood open for long
        return confirm_first("accounts.enrolment", journey)
    if not form.validate():
        return _setup_page(form, journey, secret, 400)
    code, replaced = mfa.read_code(form.code.data), mfa.count_recovery_codes(db.session, user.id) > 0
    codes = mfa.enrol(db.session, _app().keyring, user, secret, code, now=now) if code else None
    if codes is None:
        form.code.errors = [WRONG_CODE]
        return _setup_page(form, journey, secret, 400)
    del sessions.here()[SETUP]
    row = sessions.here().renew()
    row.amr = list(signin.PASSWORD_AND_CODE)
    sessions.end_others(db.session, user.id, keep=row.id, reason="mfa_changed", now=now)
    journey.answer("mfa")
    return _to_codes_page(codes, user, journey, replaced=replaced)


@bp.post("/account/mfa/remove")
@login_required
def remove_factor() -> Response:
    """Signing in needs the password alone again, where that is allowed."""
    row, user = _here()
    if sessions.current_settings().mfa == "required":
        raise Forbidden(
            "A second factor is required here, so it cannot be removed. Nothing was changed. You can replace it by another.",
            title="The second factor stays on",
        )
    if not signin.may_change_security(row, user, now=db.utcnow()):
        return confirm_first("accounts.account")
    if mfa.remove(db.session, user, now=db.utcnow()):
        sessions.here().renew()
        sessions.end_others(db.session, user.id, keep=row.id, reason="mfa_changed", now=db.utcnow())
        flash("Your second factor is off. Signing in now needs your password alone.", "success")
    return see_other(url_for("accounts.account"))


@bp.post("/account/recovery-codes/new")
@login_required
def new_recovery_codes() -> Response:
    """Ten new codes are next; the earlier ones no longer work."""
    row, user = _here()
    if not user.mfa_on:
        return see_other(url_for("accounts.enrolment"))
    if not signin.may_change_security(row, user, now=db.utcnow()):
        return confirm_first("accounts.account")
    replaced = mfa.count_recovery_codes(db.session, user.id) > 0
    codes = mfa.make_recovery_codes(db.session, _app().keyring, user, now=db.utcnow())
    return _to_codes_page(codes, user, Journey.of_request(), replaced=replaced)


@bp.get("/account/recovery-codes", head=False)
@login_required
def recovery_codes() -> Response:
    """The new recovery codes, this once; later only that they were shown."""
    journey, (_, user), here = Journey.of_request(), _here(), sessions.here()
    codes = mfa.unseal_codes(_app().keyring, here.pop(SHOWN_ONCE, None), user.id)
    packing.keep_unpacked()
    page = render_template(
        "accounts/recovery_codes.html",
        codes=codes,
        replaced=here.pop(REPLACED, False),
        goal=journey.goal(url_for("accounts.account")),
        nav="account",
        **journey.context(2),
    )
    return make_response(page)


def _to_codes_page(codes: list[str], user: User, journey: Journey, *, replaced: bool) -> Response:
    sessions.here()[REPLACED] = replaced
    sessions.here()[SHOWN_ONCE] = mfa.seal_codes(_app().keyring, codes, user.id)
    return see_other(url_for("accounts.recovery_codes", **journey.query))


def confirm_first(endpoint: str, journey: Journey | None = None) -> Response:
    """To the sign-in page and back again: nothing was changed yet."""
    if journey is not None and journey.parked is not None:
        return see_other(url_for("accounts.sign_in", **journey.query))
    flash(STALE, "info")
    return see_other(url_for("accounts.sign_in", confirm="1", next=url_for(endpoint)))


def _here() -> tuple[BrowserSession, User]:
    return sessions.here().ensure(), current_user._get_current_object()


def _app() -> Any:
    return current_app


def _waiting_secret(user: User) -> str | None:
    return mfa.setup_secret(_app().keyring, sessions.here().get(SETUP), user.id, now=db.utcnow())


def _new_secret(user: User) -> str:
    sessions.here()[SETUP] = mfa.begin_setup(_app().keyring, user.id, now=db.utcnow())
    return _waiting_secret(user) or ""


def _setup_page(form: Any, journey: Journey, secret: str, status: int = 200) -> Response:
    settings = sessions.current_settings()
    uri = mfa.provisioning_uri(secret, email=current_user.email, brand=settings.brand)
    form.code.data = ""
    packing.keep_unpacked()
    page = render_template(
        "accounts/enrolment.html",
        form=form,
        qr=draw(uri),
        key=mfa.in_groups(secret),
        replacing=current_user.mfa_on,
        nav="account",
        **journey.context(2),
    )
    return make_response(page, status)


def draw(uri: str) -> Markup:
    """The QR code as SVG, black on white in a white margin of four modules: readers need both in dark mode too.

    It has a viewBox and no size, so that the style sheet can scale all of it.
    """
    svg = segno.make(uri, error="m").svg_inline(omitsize=True, border=4, dark="#000", light="#fff")
    return Markup(svg)  # noqa: S704, drawn here, of squares only
