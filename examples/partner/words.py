"""What Ledgerly says: the scopes, and whatever can go wrong, each with what happened and what to do next.

`{portal}` in a text becomes the portal's name when the text is shown (the filter `branded` of app.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import requests
from markupsafe import Markup
from werkzeug.datastructures import WWWAuthenticate

SCOPES = {
    "openid": "Know your identity",
    "profile": "Read your basic information",
    "funds.summary": "Read summary fund information",
    "funds.basic": "Read basic fund information",
    "members.read": "Read member information",
    "funds.read": "Read all fund information",
    "funds.write": "Read and modify all fund information",
    "business.read": "Read basic business information",
    "funds.create": "Create new funds",
    "offline_access": "Access your data while you are not logged into {portal}",
}

RETURNED = {  # RFC 6749 §4.1.2.1, OIDC Core §3.1.2.6
    "access_denied": ("Nothing was connected", "The request was denied in {portal}. Ledgerly has received nothing."),
    "invalid_scope": (
        "{portal} does not give what Ledgerly asked for",
        "Ledgerly asked for something that it may not ask for, or that does not exist. Nothing was connected.",
    ),
    "invalid_grant": (
        "The way back took too long",
        "{portal} no longer takes the code that came back. Nothing was connected. Start again.",
    ),
    "temporarily_unavailable": ("{portal} is busy", "Nothing was connected. Please try again in a moment."),
    "server_error": ("{portal} had a problem", "Nothing was connected. Please try again in a moment."),
    "login_required": ("You need to sign in to {portal}", "Nothing was connected. Start again and sign in there."),
    "consent_required": ("{portal} needs your decision", "Nothing was connected. Start again and decide there."),
    "interaction_required": ("{portal} needs to ask you something", "Nothing was connected. Start again and answer there."),
    "account_selection_required": (
        "{portal} needs to know which account",
        "Nothing was connected. Start again and choose there.",
    ),
}
RETURNED_OTHERWISE = (
    "{portal} refused the request",
    "It is a mistake in how Ledgerly asked, not yours. Nothing was connected. The details below help our support.",
)

DEAD = {  # the word in `error_description` of 401 invalid_token
    "expired": (
        "This access has run out",
        f"Its time is over, and Ledgerly could not renew it by itself. It can with “{SCOPES['offline_access']}”.",
    ),
    "revoked": ("Access was ended in {portal}", "Somebody ended it, so Ledgerly can read nothing more."),
    "consent_expired": (
        "The time for this access is over",
        "Access was given until a certain day, and that day has passed. You can give it anew.",
    ),
    "signed_out": (
        "You are no longer signed in to {portal}",
        "This access lasts only while you are signed in there. {portal} will ask you to sign in.",
    ),
    "user_left": (
        "The person who connected Ledgerly no longer acts for this business",
        "Access ended with their membership. Someone who acts for the business today can give it anew.",
    ),
    "client_disabled": (
        "{portal} has switched Ledgerly off",
        "The operator of {portal} has disabled Ledgerly for everyone. Our support is the one to ask.",
    ),
}
DEAD_OTHERWISE = ("{portal} does not know this access", "The access Ledgerly holds opens nothing any more.")


class Problem(Exception):
    """Something to tell a person. `then` is what they can do: "connect", "retry", "add" (ask for `scope`), or "" for nothing.

    `details` are for the person's support: protocol words, shown folded. Never put a token or a code in them.
    """

    def __init__(self, words: tuple[str, str], *, then: str, status: int, scope: str = "", **details: Any) -> None:
        super().__init__(words[0])
        self.title, self.text = words
        self.then, self.status, self.scope = then, status, scope
        self.details = {name: str(value)[:300] for name, value in details.items() if value}


class AccessEnded(Problem):
    """The refresh token is dead, and with it the connection."""


def returned(error: str, description: str | None) -> Problem:
    """For an error that came back to the callback."""
    return Problem(
        RETURNED.get(error, RETURNED_OTHERWISE), then="connect", status=400, error=error, error_description=description
    )


def not_trusted(text: str, **details: Any) -> Problem:
    """For a return that may not have come from the portal, or was not meant for this browser: nothing of it is used."""
    words = ("This return could not be trusted", f"{text} Nothing was connected, and nothing was kept. Start again from here.")
    return Problem(words, then="connect", status=400, **details)


def ended(description: str | None) -> AccessEnded:
    """For `invalid_grant` on refresh (RFC 6749 §5.2)."""
    title, text = DEAD.get(description or "", DEAD_OTHERWISE)
    return AccessEnded((title, text), then="connect", status=200, error="invalid_grant", error_description=description)


def not_renewed(error: str, description: str | None = None) -> Problem:
    """For a refresh that was refused for now: what Ledgerly holds is kept."""
    words = ("{portal} did not renew the access", "Ledgerly keeps what it has. Try again in a moment.")
    return Problem(words, then="connect", status=502, error=error, error_description=description)


def not_ended(*statuses: int) -> Problem:
    """For a disconnect that the portal did not confirm."""
    words = (
        "Ledgerly could not disconnect",
        "{portal} did not confirm it. Try again, or end it in {portal} under Business, Partner Application Access.",
    )
    return Problem(words, then="retry", status=502, http=", ".join(map(str, statuses)))


def unreachable(error: Exception) -> Problem:
    """For no answer, and for an answer that is not what the specification promises, such as a proxy's HTML page."""
    if isinstance(error, requests.Timeout):
        words = (
            "{portal} takes too long to answer",
            "Ledgerly has stopped waiting. Nothing is lost; please try again in a moment.",
        )
        return Problem(words, then="retry", status=504, error=type(error).__name__)
    if isinstance(error, requests.ConnectionError):
        words = (
            "{portal} cannot be reached",
            "It may be starting, or the network is down. Nothing is lost; please try again in a moment.",
        )
        return Problem(words, then="retry", status=502, error=type(error).__name__)
    words = (
        "{portal} gave an answer that Ledgerly cannot read",
        "Perhaps something between the two answered instead. Nothing is lost; please try again in a moment.",
    )
    return Problem(words, then="retry", status=502, error=type(error).__name__)


def refused(answer: requests.Response) -> Problem:
    """For an API answer other than 2xx: RFC 6750 §3, RFC 9457."""
    status = answer.status_code
    if status == 401:
        return _dead(_challenge(answer))
    if status == 403:
        return _beyond(_challenge(answer))
    if status in (429, 503):
        seconds = answer.headers.get("Retry-After", "")
        later = f"in {seconds} seconds" if seconds.isascii() and seconds.isdigit() else "in a moment"
        return Problem(("{portal} is busy", f"Nothing is lost; please try again {later}."), then="retry", status=503, http=status)
    if status >= 500:
        words = ("{portal} had a problem", "Nothing is lost; please try again in a moment.")
        return Problem(words, then="retry", status=502, http=status)
    if status == 404:
        words = ("{portal} has no such thing", "It may have been removed, or it belongs to another business.")
        return Problem(words, then="", status=404, http=status)
    words = ("{portal} could not use this request", "Nothing was changed. Go back to the start and try again.")
    return Problem(words, then="", status=502, http=status, detail=_detail(answer))


def _dead(challenge: Mapping[str, str]) -> Problem:
    """401: `error_description` is one word to act on."""
    reason = challenge.get("error_description", "")
    then = "" if reason == "client_disabled" else "connect"
    title, text = DEAD.get(reason, DEAD_OTHERWISE)
    if reason == "revoked":
        text += " If that has been undone there, the next call works."
    return Problem((title, text), then=then, status=200, http=401, error=challenge.get("error"), error_description=reason)


def _beyond(challenge: Mapping[str, str]) -> Problem:
    """403: `scope` names what would open the call; any one of them."""
    needed = challenge.get("scope", "")
    known = [name for name in needed.split() if name in SCOPES]
    titles = " or ".join(f"“{SCOPES[name]}”" for name in known) or "something more"
    text = f"This needs {titles}, which was not allowed, or which your role in the business does not allow today."
    words = ("This access does not cover that", f"{text} Everything else goes on as before.")
    details = {"http": 403, "error": challenge.get("error"), "needed": needed}
    return Problem(words, then="add" if known else "connect", scope=known[0] if known else "", status=200, **details)


def _challenge(answer: requests.Response) -> Mapping[str, str]:
    """The parameters of `WWW-Authenticate` (RFC 9110 §11.6.1); empty when there are none to read."""
    challenge = WWWAuthenticate.from_header(answer.headers.get("WWW-Authenticate"))
    return {name: value for name, value in challenge.parameters.items() if value} if challenge else {}


def _detail(answer: requests.Response) -> str:
    try:
        return str(answer.json().get("detail", ""))
    except (ValueError, AttributeError):
        return ""


def reason(answer: requests.Response) -> str:
    """Why a token was refused, in the portal's one word; "" when it says nothing."""
    return _challenge(answer).get("error_description", "")


def moment(epoch: Any, zone: str | None = None) -> Markup | str:
    """Seconds since 1970 as `<time>`, in the person's own time zone when the portal told it."""
    try:
        at = datetime.fromtimestamp(float(epoch), UTC)
        local = at.astimezone(ZoneInfo(zone or "UTC"))
    except (TypeError, ValueError, OSError, OverflowError, LookupError):
        return "not told"
    text = f"{local.day} {local:%b %Y}, {local.hour % 12 or 12}:{local:%M} {'am' if local.hour < 12 else 'pm'} {local:%Z}"
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), text)


def money(amount: Any) -> str:
    """An exact decimal in text, with its thousands apart: 418,250.75. It never becomes a binary float."""
    whole, point, cents = str(amount or "").partition(".")
    return f"{int(whole):,}{point}{cents}" if whole.lstrip("-").isdecimal() else str(amount or "")


def abn(digits: Any) -> str:
    """An ABN as people write it: 51 824 753 556."""
    text = str(digits or "")
    return f"{text[:2]} {text[2:5]} {text[5:8]} {text[8:]}" if len(text) == 11 else text
