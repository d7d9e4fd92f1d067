"""The token that every form of ours carries: Flask-WTF's, masked anew in each answer so that pages can be packed (`packing`).

Shown is a random pad, and the token XOR that pad. What comes back in a form, or in the header of a script, is unmasked before
Flask-WTF checks it; a token that was never masked is refused.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache

from flask import Flask, g
from flask_wtf import CSRFProtect
from flask_wtf.csrf import generate_csrf

from portal.web import SAFE_METHODS, current_request


class MaskedTokens(CSRFProtect):  # type: ignore[misc]
    """Flask-WTF's protection, which sees the token as it is while pages and browsers see it masked."""

    def init_app(self, app: Flask) -> None:
        super().init_app(app)
        app.jinja_env.globals["csrf_token"] = token  # for macros, which do not see what processors add
        app.context_processor(lambda: {"csrf_token": token})

    def _get_csrf_token(self) -> str:
        return unmask(super()._get_csrf_token() or "")


def guard_forms(app: Flask) -> CSRFProtect:
    """Refuse whatever may change something and comes without the token of a form of ours, but for views that are made exempt."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # which would look at what only reads, too
    csrf = MaskedTokens(app)

    @cache  # what is exempt is settled when the application is made
    def is_exempt(_endpoint: str) -> bool:
        return csrf._is_exempt()  # type: ignore[no-any-return]

    def check_token() -> None:
        asked = current_request()
        if asked.method not in SAFE_METHODS and asked.endpoint and not is_exempt(asked.endpoint):
            csrf.protect()

    app.before_request(check_token)
    return csrf


def token() -> str:
    """The token of this browser session as this answer shows it: the same in all its forms, and in no other answer."""
    plain, masked = generate_csrf(), g.setdefault("masked_csrf_tokens", {})
    if plain not in masked:
        masked[plain] = mask(plain)
    return str(masked[plain])


def mask(plain: str) -> str:
    """The token under a pad of its own."""
    pad = secrets.token_bytes(len(plain))
    return urlsafe_b64encode(pad + _xor(pad, plain.encode())).decode()


def unmask(masked: str) -> str:
    """The token that was masked, or some other text when it is not one of ours; which it is, Flask-WTF finds by its signature."""
    try:
        both = urlsafe_b64decode(masked)
    except ValueError:
        return "unreadable"
    half = len(both) // 2
    return _xor(both[:half], both[half:]).decode("latin-1")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=False))
