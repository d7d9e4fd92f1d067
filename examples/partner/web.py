"""What surrounds every page: headers, the check of each button, problems told as pages, and a log without secrets."""

from __future__ import annotations

import logging
import secrets
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, current_app, g, redirect, render_template, request, session, url_for
from werkzeug import Response
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler

import words
from store import new_key
from words import Problem

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'"
SECURITY_HEADERS = {
    "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
TRY_AGAIN = "Nothing was changed. Go back to the start and try again."
log = logging.getLogger("ledgerly")


def init_app(app: Flask, *, origin: str, portal: str) -> None:
    """`portal` is the name people know the portal by."""
    app.config["ORIGIN"] = origin
    app.before_request(check_request)
    app.after_request(protect)
    app.register_error_handler(words.AccessEnded, access_ended)
    app.register_error_handler(Problem, tell)
    app.register_error_handler(404, not_here)
    app.register_error_handler(Exception, unforeseen)
    app.jinja_env.globals |= {"PORTAL": portal, "SCOPES": words.SCOPES, "csrf_token": csrf_token}
    app.jinja_env.filters |= {"moment": words.moment, "abn": words.abn, "money": words.money}
    app.jinja_env.filters["branded"] = lambda text: text.replace("{portal}", portal)
    app.context_processor(lambda: {"calls": g.get("calls", [])})


def csrf_token() -> str:
    return session.setdefault("csrf_token", new_key())


def check_request() -> Response | None:
    """Every button carries the token of its session; and pages have one address, since the cookie belongs to it."""
    origin = current_app.config["ORIGIN"]
    if request.method == "POST":
        sent, expected = request.form.get("csrf_token", ""), session.get("csrf_token", "")
        if not expected or not secrets.compare_digest(sent.encode(), expected.encode()):
            raise Problem(("This page was open for too long", TRY_AGAIN), then="", status=400)
    elif request.host != urlsplit(origin).netloc:
        return redirect(origin + request.full_path.removesuffix("?"))
    return None


def protect(response: Response) -> Response:
    response.headers.update(SECURITY_HEADERS)
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response


def access_ended(problem: words.AccessEnded) -> Response:
    """The connection is gone; the first page says why, and offers to connect again."""
    session.pop("connection", None)
    session["ended"] = {"title": problem.title, "text": problem.text, "then": problem.then}
    return redirect(url_for("home"), 303)


def tell(problem: Problem) -> tuple[str, int]:
    if request.endpoint == "callback" and problem.then == "retry":
        problem.then = "connect"  # its address holds a code, which works once and belongs on no page
    return render_template("problem.html", problem=problem), problem.status


def not_here(_error: object = None) -> tuple[str, int]:
    return tell(Problem(("There is nothing here", "The address is wrong, or what was here is gone."), then="", status=404))


def unforeseen(error: Exception) -> tuple[str, int]:
    """The last resort. Only the kind of error is logged, since its text could hold a token."""
    status = (error.code or 500) if isinstance(error, HTTPException) else 500
    log.error("%s %s: %s", request.method, request.path, type(error).__name__)
    return tell(Problem(("That did not work", TRY_AGAIN), then="", status=status))


class WithoutQuery(WSGIRequestHandler):
    """The address of the callback carries a code, so the log gets paths only."""

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        self.log("info", "%s %s %s", self.command, self.path.partition("?")[0], code)
