"""What every request meets: its reference number, trusted hosts, security headers, and what every template knows."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from flask import Flask, Request, Response, current_app, g, redirect, request, url_for
from flask_login import current_user
from markupsafe import Markup, escape
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.routing import Rule

from portal import packing
from portal.config import Settings
from portal.db import utcnow
from portal.errors import BadRequest
from portal.logs import TOKEN_SHAPE, Origin, origin, request_log

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
"""RFC 9110 §9.2.1."""
HEALTH_PATHS = ("/healthz", "/readyz")
BODY_BYTES = 1_000_000
"""What a request may send, but for the one kind that has a limit of its own."""
CURSOR = re.compile(r"[a-z0-9-]{1,64}")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'{extra}"
)
ALWAYS = (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"))
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Made once, since making an encoder costs more than a small answer."""
ON_PAGES = {
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


class Route(Rule):
    """A route that can say `head=False`: its GET spends something, and HEAD must be safe (RFC 9110 §9.2.1), so HEAD is 405.

    Scanners of mail and previews of links send HEAD.
    """

    def __init__(self, *args: Any, head: bool = True, **options: Any) -> None:
        super().__init__(*args, **options)
        if not head and self.methods is not None:
            self.methods.discard("HEAD")  # which Werkzeug adds to every GET


def init_app(app: Flask) -> None:
    app.url_rule_class = Route
    app.before_request(_arrive)
    app.after_request(_leave)
    app.context_processor(_known_to_templates)
    app.add_template_global(asset, "asset")
    app.jinja_env.globals["styles"] = ()  # a page that has style sheets of its own sets it
    app.add_template_filter(localtime, "localtime")
    app.add_template_filter(localdate, "localdate")
    app.add_template_filter(ago, "ago")
    app.add_template_filter(plainday, "plainday")
    app.add_template_filter(group_abn, "abn")


def _arrive() -> None:
    # the objects behind Flask's proxies, since this is done for every call of a machine
    asked, noted, settings = current_request(), g._get_current_object(), _settings()
    noted.started = time.perf_counter_ns()
    given = asked.headers.get("X-Request-Id", "") if settings.trusted_proxies > 0 else ""
    is_good = given and REQUEST_ID.fullmatch(given) and not TOKEN_SHAPE.search(given)
    noted.request_id = given if is_good else secrets.token_hex(8)
    origin.set(Origin(network_address(asked), noted.request_id))
    if asked.host not in (settings.host, current_app.config.get("EXTRA_HOST")) and asked.path not in HEALTH_PATHS:
        raise BadRequest("This address is not the portal’s. Check the address you opened.", detail="untrusted host")


def network_address(asked: Request) -> str | None:
    """Where a request comes from, as far as our columns hold it; a wrong count of proxies would let anybody write here."""
    return asked.remote_addr and asked.remote_addr[:64]


def _leave(response: Response) -> Response:
    asked, noted, headers, settings = current_request(), g._get_current_object(), response.headers, _settings()
    for name, value in ALWAYS:
        headers.add(name, value)
    headers.add("X-Request-Id", noted.request_id)
    if settings.is_https:
        headers.add("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
    if not isinstance(response, WholeAnswer):
        _leave_as_page(response, asked)
    if asked.endpoint != "static":
        request_log.tell(
            request_id=noted.request_id,
            method=asked.method,
            path=asked.path,
            status=response.status_code,
            ms=round((time.perf_counter_ns() - noted.started) / 1e6, 1),
        )
    return response


def _leave_as_page(response: Response, asked: Request) -> None:
    if response.mimetype == "text/html":
        response.headers.update(ON_PAGES)
        extra = "".join(f" {origin}" for origin in g.get("form_action", ()))
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY.format(extra=extra)
        response.headers.setdefault("Cache-Control", "no-store")
    packing.pack(response, asked)


def current_request() -> Request:
    """The request itself, for who asks it many things: Flask's `request` looks it up anew for each."""
    return request._get_current_object()  # type: ignore[attr-defined,no-any-return]


def whole_body(asked: Request) -> bytes:
    """All that was sent; Flask can still read it as a form. Raises RequestEntityTooLarge, also for what comes in chunks.

    Werkzeug reads what comes in chunks up to the limit, and cuts off the rest without a word.
    """
    length, source = asked.content_length, asked.environ["wsgi.input"]
    if length is None:
        body = asked.get_data()
        if len(body) >= BODY_BYTES and source.read(1):
            raise RequestEntityTooLarge
        return body
    if length > BODY_BYTES:
        raise RequestEntityTooLarge
    body = source.read(length)
    if len(body) < length:
        raise ClientDisconnected
    asked.environ["wsgi.input"] = BytesIO(body)
    return cast(bytes, body)


class WholeAnswer(Response):
    """An answer that is whole when it is made and that no cache keeps: nothing has to be worked out about it on its way."""

    def __init__(
        self, content: str, status: int = 200, headers: Iterable[tuple[str, str]] = (), content_type: str = "application/json"
    ) -> None:
        encoded, all_headers = content.encode(), Headers()
        own = ("Content-Type", content_type), ("Content-Length", str(len(encoded))), ("Cache-Control", "no-store")
        for name, value in (*own, *headers):
            all_headers.add(name, value)
        super().__init__([encoded], status, all_headers)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD":  # which has no body, and of which Flask takes care
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return cast(Iterable[bytes], self.response)


def _settings() -> Settings:
    return current_app.settings  # type: ignore[attr-defined,no-any-return]


def brand() -> str:
    """The name of this portal, as pages show it."""
    return _settings().brand


def _known_to_templates() -> dict[str, Any]:
    return {
        "brand": brand(),
        "request_id": g.get("request_id", ""),
        "now": utcnow(),
        "signed_in": current_user._get_current_object() if current_user.is_authenticated else None,
        "support_url": _settings().support_url,
        "nav": "",
        "nav_business": None,
        "step": None,
        "asking": None,
    }


def allow_form_action(origin: str) -> None:
    """Let the forms of this page lead to `origin` by redirect; browsers hold redirects to form-action too (CSP3 §6.4.1)."""
    g.setdefault("form_action", set()).add(origin)


def cursor(name: str) -> str | None:
    """The id of the row, in the parameter `name` of the address, next to which a list goes on; None for what is no id."""
    given = request.args.get(name, "")
    return given if CURSOR.fullmatch(given) else None


def is_fragment() -> bool:
    """Whether htmx asks, and so only a part of the page is wanted."""
    return request.headers.get("HX-Request") == "true"


def see_other(location: str) -> Response:
    """303: the answer to each form, so that reloading never sends it twice."""
    return redirect(location, 303)  # type: ignore[return-value]


def safe_next(target: str | None, default: str) -> str:
    """`target` when it is a path of this portal, else `default`; never another origin, never a scheme or a backslash."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or not target.isprintable():
        return default
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or "\\" in target:
        return default
    adapter = current_app.create_url_adapter(request)
    if adapter is None or not adapter.test(parts.path, method="GET"):
        return default
    return target


@cache
def _version(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


def asset(name: str) -> str:
    """The address of a static file, with its content's digest, so that it can be cached for a year."""
    return url_for("static", filename=name, v=_version(str(Path(current_app.static_folder or "") / name)))


def _zone() -> ZoneInfo:
    own = current_user.zoneinfo if current_user.is_authenticated else None
    try:
        return ZoneInfo(own or _settings().timezone)
    except (KeyError, ValueError):
        return ZoneInfo(_settings().timezone)


def exact(moment: datetime) -> str:
    """`23 Nov 2026, 2:05 pm AEDT`, in the reader's time zone."""
    local = moment.astimezone(_zone())
    return f"{_short(local)} {local.tzname()}"


def _short(local: datetime) -> str:
    hour = local.hour % 12 or 12
    return f"{local.day} {local:%b %Y}, {hour}:{local:%M} {'am' if local.hour < 12 else 'pm'}"


def _time(moment: datetime, words: str) -> Markup:
    return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(timespec="seconds"), exact(moment), words)


def localtime(moment: datetime | None) -> Markup:
    """`23 Nov 2026, 2:05 pm` as a <time>; `never` when there is none."""
    return escape("never") if moment is None else _time(moment, _short(moment.astimezone(_zone())))


def localdate(moment: datetime | None) -> Markup:
    """`23 Nov 2026` as a <time>; `never` when there is none."""
    if moment is None:
        return escape("never")
    local = moment.astimezone(_zone())
    return _time(moment, f"{local.day} {local:%b %Y}")


UNITS = ((86400 * 365, "year"), (86400 * 30, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))


def plainday(day: date) -> Markup:
    """`23 Nov 2026` as a <time>, for a day that is a day wherever one reads of it."""
    return Markup('<time datetime="{}">{}</time>').format(day.isoformat(), f"{day.day} {day:%b %Y}")


def ago(moment: datetime | None) -> Markup:
    """`3 hours ago` or `in 14 days` as a <time> with the exact time on hover; `never` when there is none."""
    if moment is None:
        return escape("never")
    return _time(moment, in_words(utcnow() - moment))


def in_words(passed: timedelta) -> str:
    seconds = abs(int(passed.total_seconds()))
    for size, unit in UNITS:
        if seconds >= size:
            count = seconds // size
            words = f"{count} {unit}{'s' if count != 1 else ''}"
            return f"{words} ago" if passed > timedelta(0) else f"in {words}"
    return "just now" if passed >= timedelta(0) else "in less than a minute"


def group_abn(abn: str) -> str:
    """`51 824 753 556`."""
    return f"{abn[:2]} {abn[2:5]} {abn[5:8]} {abn[8:]}" if len(abn) == 11 else abn
