"""Ledgerly, a sample partner: connects one business through the portal, and shows what it may read there.

    python app.py        # with the packages of README.md; settings are environment variables, shown below

Read in this order: this file, signin.py (OpenID Connect), access.py (calls, refresh, disconnect). The rest is plain Flask.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from authlib.integrations.flask_client import OAuth
from flask import Flask, flash, redirect, render_template, request, session, url_for
from werkzeug import Response
from werkzeug.serving import make_server

import signin
import web
import words
from access import Access, Connection
from store import ServerSessions, Store, new_key
from words import Problem

ISSUER = (os.environ.get("PORTAL_ISSUER") or "http://127.0.0.1:5000").rstrip("/")
PORTAL = os.environ.get("PORTAL_BRAND") or "Class"
PORT = int(os.environ.get("PARTNER_PORT") or 5001)
ORIGIN = os.environ.get("PARTNER_ORIGIN") or f"http://127.0.0.1:{PORT}"
CLIENT_ID = os.environ.get("PARTNER_CLIENT_ID") or "ledgerly-demo"
CLIENT_SECRET = os.environ.get("PARTNER_CLIENT_SECRET") or "ledgerly-demo-secret-for-local-use-only"
INSTANCE = Path(os.environ.get("PARTNER_INSTANCE") or Path(__file__).with_name("instance"))
TIMEOUT_SECONDS = float(os.environ.get("PARTNER_TIMEOUT_SECONDS") or 10)

ASKED = "openid profile funds.summary funds.basic members.read funds.read business.read offline_access"
PAGE = 20

log = logging.getLogger("ledgerly")
logging.getLogger("authlib").setLevel(logging.INFO)  # it logs verifiers and tokens at DEBUG

app = Flask(__name__)
app.config["SESSION_COOKIE_NAME"] = "ledgerly_session"  # not the portal's: cookies of one host share all its ports
app.config["SESSION_COOKIE_SECURE"] = ORIGIN.startswith("https:")
app.config["MAX_CONTENT_LENGTH"] = 65536
store = Store(INSTANCE / "ledgerly.sqlite3")
app.session_interface = ServerSessions(store)
portal = OAuth(app).register(
    "portal",
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    server_metadata_url=f"{ISSUER}/.well-known/openid-configuration",
    client_kwargs={
        "token_endpoint_auth_method": "client_secret_basic",
        "code_challenge_method": "S256",
        "default_timeout": TIMEOUT_SECONDS,
        "max_redirects": 0,  # no endpoint we call redirects, and our secret shall not follow one that does
        "trust_env": urlsplit(ISSUER).hostname != "127.0.0.1",  # no proxy stands between two programs of one machine
    },
)
access = Access(portal, ISSUER, store)
web.init_app(app, origin=ORIGIN, portal=PORTAL)


# pages


@app.get("/")
def home() -> Any:
    """Before a connection, the invitation; afterwards, what was granted, and the funds."""
    connection = access.find(session.get("connection"))
    if connection is None:
        return render_template("welcome.html", ended=session.get("ended"))
    cursor = {"cursor": request.args["cursor"]} if "cursor" in request.args else {}
    funds, problem = attempt(lambda: access.rows(connection, "/funds", limit=PAGE, **cursor))
    page = render_template("home.html", connection=connection, funds=funds, problem=problem)
    return page, problem.status if problem else 200


@app.get("/funds/<fund_id>")
def fund(fund_id: str) -> Any:
    """One fund, and its members. Either may be more than was granted, so each part stands alone."""
    connection = connected()
    if not re.fullmatch(r"[\w-]{1,64}", fund_id, re.ASCII):
        return web.not_here()
    one, problem = attempt(lambda: access.call(connection, f"/funds/{fund_id}"))
    members, members_problem = attempt(lambda: access.rows(connection, f"/funds/{fund_id}/members"))
    page = render_template(
        "fund.html", connection=connection, fund=one, problem=problem, members=members, members_problem=members_problem
    )
    return page, max(told.status if told else 200 for told in (problem, members_problem))


@app.get("/people")
def people() -> Any:
    """The users of the business."""
    connection = connected()
    users, problem = attempt(lambda: access.rows(connection, "/business/users"))
    page = render_template("people.html", connection=connection, users=users, problem=problem)
    return page, problem.status if problem else 200


# connecting and ending


@app.get("/connect")
def connect() -> Response:
    """To the portal. `?add=funds.write` asks for that as well, even if it was asked for and not given before."""
    scopes = dict.fromkeys(ASKED.split() + [name for name in request.args.get("add", "").split() if name in words.SCOPES])
    return signin.begin(
        portal, ISSUER, redirect_uri=f"{ORIGIN}/callback", scope=" ".join(scopes), ask_again="add" in request.args
    )


@app.get("/callback")
def callback() -> Response:
    """Back from the portal, with a code or an error."""
    token = signin.finish(portal, ISSUER, request.args)
    former = session.pop("connection", None)
    if former:
        access.forget(former)
    connection = Connection(new_key(), token, dict(token["userinfo"]), session.pop("asked", ASKED))
    access.keep(connection)
    connection.who |= access.who(connection)
    access.keep(connection)
    session.renew()  # type: ignore[attr-defined]
    session.pop("ended", None)
    session["connection"] = connection.id
    return redirect(url_for("home"), 303)


@app.post("/refresh")
def refresh() -> Response:
    access.refresh(connected())
    flash("The access token was refreshed. The refresh token changed with it.")
    return redirect(url_for("home"), 303)


@app.post("/disconnect")
def disconnect() -> Response:
    access.disconnect(connected())
    session.pop("connection", None)
    flash(f"Disconnected. Ledgerly has deleted its tokens, and {PORTAL} has ended the access.")
    return redirect(url_for("home"), 303)


# for pages


def connected() -> Connection:
    connection = access.find(session.get("connection"))
    if connection is None:
        raise Problem(("Ledgerly is not connected", "There is nothing to show before."), then="connect", status=403)
    return connection


def attempt(work: Any) -> tuple[Any, Problem | None]:
    """What `work` returns, or the problem to show in its place. That access has ended is for the whole page."""
    try:
        return work(), None
    except words.AccessEnded:
        raise
    except Problem as problem:
        return None, problem


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    log.info("Ledgerly is at %s and talks to %s", ORIGIN, ISSUER)
    with contextlib.suppress(KeyboardInterrupt):
        make_server("127.0.0.1", PORT, app, threaded=True, request_handler=web.WithoutQuery).serve_forever()
