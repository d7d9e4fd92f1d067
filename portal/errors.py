"""What goes wrong, and how it is told: one family, and one place that chooses between page, fragment and JSON.

Each error carries one sentence for the person and, apart from it, a detail for the log. A page or fragment ends with
the reference number that is in the log; the API answers `application/problem+json` (RFC 9457); OAuth endpoints answer
in Authlib's own family (RFC 6749 §5.2) and use this one only for what happens before they are reached.
"""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, current_app, g, jsonify, make_response, render_template, request
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WrongMethod

from portal import db

log = structlog.get_logger()


class PortalError(Exception):
    """An answer other than the one hoped for. `message` is for the person, `detail` for the log."""

    status = 500
    title = "Something went wrong on our side"
    message = "Nothing was changed. Please try again in a moment."
    api_message = ""
    """What the API says in place of `message`, when that speaks of a page."""
    kind = "internal-error"
    next_step: str | None = None
    onward: tuple[str, str] = ("/businesses", "Go to My businesses")
    """Where the page leads, and the words of the link."""

    def __init__(
        self,
        message: str | None = None,
        *,
        title: str | None = None,
        next_step: str | None = None,
        onward: tuple[str, str] | None = None,
        detail: str | None = None,
        headers: dict[str, str] | None = None,
        members: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail or message or self.message)
        self.message = message or self.message
        self.title = title or self.title
        self.next_step = next_step or self.next_step
        self.onward = onward or self.onward
        self.detail = detail
        self.headers = headers or {}
        self.members = members or {}
        """Further members of the problem document (RFC 9457 §3.2)."""


class BadRequest(PortalError):
    status, kind = 400, "bad-request"
    title = "That request could not be read"
    message = "Nothing was changed. Go back, check what you entered, and try again."
    api_message = "Nothing was changed. Correct the call and send it again."


class FormOutOfDate(BadRequest):
    kind = "form-out-of-date"
    title = "This page was open for too long"
    message = "For your safety nothing was changed. Open the page again and try once more."


class Unauthorized(PortalError):
    status, kind = 401, "unauthorized"
    title = "Sign in to go on"
    message = "You are not signed in, or your session has ended. Nothing was changed."


class Forbidden(PortalError):
    status, kind = 403, "forbidden"
    title = "Your role does not allow this"
    message = "Nothing was changed. An Access Controller of the business can do this, or give you another role."


class NotFound(PortalError):
    status, kind = 404, "not-found"
    title = "There is nothing here"
    message = "The address is wrong, or it belongs to a business you are not a user of. Nothing was changed."
    api_message = "The address is wrong, or what it names is not in the business of the token."


class MethodNotAllowed(PortalError):
    status, kind = 405, "method-not-allowed"
    title = "That address does not work this way"
    message = "Nothing was changed. Go back and use the button on the page."
    api_message = "Nothing was changed. The header Allow names the methods that work here."


class Conflict(PortalError):
    status, kind = 409, "conflict"
    title = "Somebody was faster"
    message = "This was changed in the meantime, so nothing was changed now. Reload the page to see how it stands."
    api_message = "This was changed in the meantime, so nothing was changed now. Read it again, and repeat the call."


class Gone(PortalError):
    status, kind = 410, "gone"
    title = "This request has ended"
    message = (
        "It was answered already, has expired, or was begun in another browser. This page changed nothing and shared nothing."
    )
    next_step = (
        "If you allowed access a moment ago, it stands: you find it under Business › Applications. "
        "Otherwise go back to the application you came from and start again."
    )


class PreconditionFailed(PortalError):
    status, kind = 412, "changed-meanwhile"
    title = "It was changed in the meantime"
    message = "Nothing was changed now. Read it again, and repeat the change on what it is today with the new ETag."


class TooLarge(PortalError):
    status, kind = 413, "too-large"
    title = "That is too large"
    message = "Nothing was stored. Send less at once."


class UnsupportedMediaType(PortalError):
    status, kind = 415, "unsupported-media-type"
    title = "That kind of content is not taken here"
    message = "Nothing was changed. Send what the description of the call names."


class Unprocessable(PortalError):
    status, kind = 422, "unprocessable"
    title = "What was sent does not fit"
    message = "Nothing was changed. Correct what is named and send it again."


class PreconditionRequired(PortalError):
    status, kind = 428, "precondition-required"
    title = "Say which state you change"
    message = "Nothing was changed. Read it first, and send its ETag in the header If-Match."


class TooManyRequests(PortalError):
    status, kind = 429, "too-many-requests"
    title = "Too many attempts"
    message = "Nothing was changed. Please wait a little before you try again."


class Unavailable(PortalError):
    status, kind = 503, "unavailable"
    title = "The portal is busy"
    message = "Nothing was changed. Please try again in a moment."


BY_STATUS: dict[int, type[PortalError]] = {
    error.status: error
    for error in (
        BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, Conflict, Gone, PreconditionFailed, TooLarge,
        UnsupportedMediaType, Unprocessable, PreconditionRequired, TooManyRequests, Unavailable,
    )
}  # fmt: skip


def init_app(app: Flask) -> None:
    app.register_error_handler(PortalError, answer)
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(IntegrityError, lambda error: answer(Conflict(detail=_constraint_of(error))))
    for away in (OperationalError, InterfaceError):
        app.register_error_handler(away, lambda error: answer(Unavailable(detail=str(error.orig))))
    app.register_error_handler(NoConnectionLeft, lambda _error: answer(Unavailable(detail="no database connection was free")))
    app.register_error_handler(Exception, _from_bug)


def answer(error: PortalError) -> Response:
    """Undo what the request wrote, log the error once, and answer in the form that the asker reads."""
    db.rollback()
    note(error)
    if request.path == "/api" or request.path.startswith("/api/"):
        response = _problem(error)
    elif _is_protocol(request.path):
        response = _oauth_error(error)
    elif request.headers.get("HX-Request") == "true":
        response = _fragment(error)
    else:
        response = make_response(_page(error), error.status)
    response.headers.update(error.headers)
    return response


def note(error: PortalError) -> None:
    """The line in the log."""
    write = log.error if error.status >= 500 else log.info
    write("refused", status=error.status, kind=error.kind, detail=error.detail or error.message)


def _is_protocol(path: str) -> bool:
    return path.startswith(("/oauth/", "/.well-known/")) and path not in ("/oauth/authorize", "/oauth/logout")


def _page(error: PortalError) -> str:
    """With the header of the person signed in, as long as nothing is wrong with the portal itself; else without."""
    if error.status < 500:
        for found in ("_login_user", "csrf_token"):
            g.pop(found, None)  # what was found before the request was undone may not be so any more
        with suppress(SQLAlchemyError):
            return render_template("errors/error.html", error=error)
    return _rendered("errors/error.html", error)


def _rendered(template: str, error: PortalError) -> str:
    """Without the context of other pages, which asks who is signed in: the database may be what went wrong."""
    settings = current_app.settings  # type: ignore[attr-defined]
    known = {
        "brand": settings.brand,
        "support_url": settings.support_url,
        "request_id": g.get("request_id", ""),
        "signed_in": None,
    }
    return current_app.jinja_env.get_template(template).render(error=error, **known)


def _fragment(error: PortalError) -> Response:
    response = make_response(_rendered("errors/_error.html", error), error.status)
    response.headers["HX-Retarget"] = "#status"
    response.headers["HX-Reswap"] = "innerHTML"
    return response


def problem_type(issuer: str, kind: str) -> str:
    """The URI of a kind of problem, which opens a page that explains it (RFC 9457 §3.1.1)."""
    return f"{issuer}/developers/problems/{kind}"


def _problem(error: PortalError) -> Response:
    issuer = current_app.settings.issuer  # type: ignore[attr-defined]
    body = {
        "type": problem_type(issuer, error.kind),
        "title": type(error).title,  # one for each kind (RFC 9457 §3.1.3); what is special stands in the detail
        "status": error.status,
        "detail": (error.message == type(error).message and error.api_message) or error.message,
        "instance": f"urn:portal:request:{g.get('request_id', '')}",
        **error.members,
    }
    response = jsonify(body)
    response.status_code = error.status
    response.content_type = "application/problem+json"
    response.headers["Cache-Control"] = "no-store"
    return response


def _oauth_error(error: PortalError) -> Response:
    code = {400: "invalid_request", 429: "temporarily_unavailable", 503: "temporarily_unavailable"}.get(error.status)
    code = code or ("server_error" if error.status >= 500 else "invalid_request")
    response = jsonify(error=code, error_description=error.title)
    response.status_code = error.status
    response.headers["Cache-Control"] = "no-store"
    return response


def _from_http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400 and error.response is not None:
        return error.response  # type: ignore[return-value]
    kind = BY_STATUS.get(status)
    headers = {"Allow": ", ".join(sorted(error.valid_methods or ()))} if isinstance(error, WrongMethod) else {}
    if kind is None:
        kind = type("OtherError", (PortalError,), {"status": status, "kind": "error", "title": HTTPStatus(status).phrase})
    return answer(kind(detail=error.description, headers=headers))


def _constraint_of(error: IntegrityError) -> str:
    """What was violated, without the values that PostgreSQL would tell too: they are people's data."""
    told = getattr(error.orig, "diag", None)
    return str(told.constraint_name) if told is not None else str(error.orig)


def _from_bug(error: Exception) -> Response:
    log.exception("bug", exc_info=error)
    return answer(PortalError(detail=f"{type(error).__name__}"))
