"""The authorization endpoint (RFC 6749 §4.1, OIDC Core §3.1.2): an ordered table of prompts, then a code.

The endpoint is re-entered: each page of the corridor does one job and comes back here, where the table is asked again
from its top. The request waits on the server meanwhile (`interaction`). Nothing takes effect before the answer: the
consent, the code and the end of the parked request are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from authlib.oauth2 import OAuth2Error
from sqlalchemy import insert
from sqlalchemy.orm import Session

from portal import crypto, interaction
from portal.accounts.models import BrowserSession, User
from portal.businesses import membership, roles
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.config import Settings
from portal.consents import catalogue, choices, decisions
from portal.consents.models import Consent
from portal.db import new_id, table_of
from portal.interaction import Interaction
from portal.oauth.id_token import LEVEL_2, LEVELS, acr
from portal.oauth.models import Authorization
from portal.oauth.request import AuthorizationRequest


class LoginRequiredError(OAuth2Error):  # type: ignore[misc]
    error = "login_required"


class InteractionRequiredError(OAuth2Error):  # type: ignore[misc]
    error = "interaction_required"


class ConsentRequiredError(OAuth2Error):  # type: ignore[misc]
    error = "consent_required"


class AccessDenied(OAuth2Error):  # type: ignore[misc]
    error = "access_denied"


class UnmetAuthenticationError(OAuth2Error):  # type: ignore[misc]
    """OpenID Connect Core Error Code unmet_authentication_requirements 1.0."""

    error = "unmet_authentication_requirements"


class AnsweredError(Exception):
    """The parked request was answered in another tab."""


@dataclass
class Situation:
    """One authorization request with all that its prompts ask about: who is here, what they chose, what stands."""

    session: Session
    settings: Settings
    asked: AuthorizationRequest
    client: Client
    browser_session: BrowserSession | None
    parked: Interaction | None
    now: datetime
    hinted_sub: str | None = None
    """The person whom the client's id_token_hint names."""

    @property
    def user(self) -> User | None:
        row = self.browser_session
        return row.user if row is not None and row.user is not None and row.user.is_active else None

    @property
    def is_silent(self) -> bool:
        return "none" in self.asked.prompt

    @property
    def decision(self) -> dict[str, Any] | None:
        return self.parked.decision if self.parked is not None else None

    def has_done(self, prompt: str) -> bool:
        """Whether the person did this for this very request."""
        return self.parked is not None and prompt in self.parked.prompted

    @cached_property
    def consents(self) -> dict[str, Consent]:
        """What the person allows this client today, by business."""
        assert self.user is not None  # noqa: S101, the first prompt sees to it
        return decisions.list_standing(self.session, self.user.id, self.client.client_id, now=self.now)

    @cached_property
    def member(self) -> Membership | None:
        """The person's membership in the business this is for, once it is known and they may connect applications there."""
        assert self.user is not None  # noqa: S101, the first prompt sees to it
        business_id = self._business_id()
        found = membership.find_active(self.session, self.user.id, business_id) if business_id else None
        return found if found is not None and choices.may_connect(found) else None

    def _business_id(self) -> str | None:
        """The chosen business. Without a choice: the one that is connected already, where nothing is left to choose or to decide.

        `business_id` of the request only preselects, and where another one is connected the person is asked. Under
        `prompt=none` there is no page, so it picks among the businesses the person has connected this client to
        themselves; about others the answer tells nothing.
        """
        if self.parked is not None and self.parked.business_id:
            return self.parked.business_id
        if self.is_silent:
            only = next(iter(self.consents)) if len(self.consents) == 1 else None
            wanted = self.asked.business_id or only
            return wanted if wanted in self.consents else None
        if self.asked.prompt or len(self.consents) != 1:
            return None
        ((business_id, consent),) = self.consents.items()
        if self.asked.business_id not in (None, business_id):
            return None  # the page says that this one cannot be had
        return business_id if self.is_answered_by(consent) and self._has_one_business() else None

    def _has_one_business(self) -> bool:
        assert self.user is not None  # noqa: S101, the first prompt sees to it
        return sum(map(choices.may_connect, membership.list_active(self.session, self.user.id))) == 1

    def is_answered_by(self, consent: Consent) -> bool:
        """Whether this consent answers the request, so that nobody need be asked.

        A native application is anybody who listens on this device, so it is never answered without a person (RFC 8252 §8.6).
        """
        if "consent" in self.asked.prompt or self.client.application_type == "native":
            return False
        return decisions.answers(consent, self.client, self.asked.scope)

    @cached_property
    def consent(self) -> Consent | None:
        """What stands for this business."""
        return self.consents.get(self.member.business_id) if self.member is not None else None


@dataclass(frozen=True)
class Prompt:
    """One thing a person may be asked for: when, on which page, and the error when no page may be shown."""

    name: str
    is_needed: Callable[[Situation], bool]
    endpoint: str
    error: type[OAuth2Error]


def needs_login(situation: Situation) -> bool:
    """OIDC Core §3.1.2.1: nobody is here, or `prompt` or `max_age` want them to sign in once more for this request."""
    row = situation.browser_session
    if situation.user is None or row is None or row.auth_time is None:
        return True
    if situation.has_done("login"):
        return False
    asked = situation.asked
    is_too_old = asked.max_age is not None and situation.now - row.auth_time > timedelta(seconds=asked.max_age)
    wants_again = bool({"login", "select_account"} & asked.prompt)
    return is_too_old or wants_again or is_somebody_else(situation)


def is_somebody_else(situation: Situation) -> bool:
    """Whether the client expects another person than the one here (`id_token_hint`, or `sub` in `claims`)."""
    expected = {situation.hinted_sub, situation.asked.expected_sub} - {None}
    return situation.user is not None and bool(expected - {situation.user.id})


def needs_second_factor(situation: Situation) -> bool:
    """The portal requires one, or the client asks for a level that only two factors reach."""
    row, user = situation.browser_session, situation.user
    if row is None or user is None or "mfa" in row.amr:
        return False
    asked = situation.asked
    if situation.settings.mfa == "required" or (asked.essential_acr and LEVELS[0] not in asked.essential_acr):
        return True
    return user.mfa_on and asked.acr_values[:1] == (LEVEL_2,)


def needs_business(situation: Situation) -> bool:
    """Raises AccessDenied when the person decided for one in which they may not connect any more; it is not asked again."""
    if situation.member is None and situation.decision is not None:
        raise AccessDenied("The person may not connect applications to this business any more.")
    return situation.member is None


def needs_consent(situation: Situation) -> bool:
    """Nothing was decided for this request, and no consent answers it."""
    if situation.decision is not None:
        return False
    return situation.consent is None or not situation.is_answered_by(situation.consent)


PROMPTS = (
    Prompt("login", needs_login, "accounts.sign_in", LoginRequiredError),
    Prompt("mfa", needs_second_factor, "accounts.enrolment", InteractionRequiredError),
    Prompt("business", needs_business, "connect.business", InteractionRequiredError),
    Prompt("consent", needs_consent, "connect.consent", ConsentRequiredError),
)
"""What a person is asked for, in this order."""


def next_prompt(situation: Situation) -> Prompt | None:
    """The page to show next; None when nothing is left to ask. Raises OAuth2Error where no page may or can help."""
    check_can_be_met(situation)
    if situation.decision is not None and not situation.decision["allow"]:
        return None
    for prompt in PROMPTS:
        if prompt.is_needed(situation):
            if situation.is_silent:
                raise prompt.error("The person would have to act, and prompt=none forbids asking them.")
            return prompt
        if prompt.name == "login" and is_somebody_else(situation):
            raise LoginRequiredError("Another person signed in than the one the application expects.")
    return None


def check_can_be_met(situation: Situation) -> None:
    """Raises UnmetAuthenticationError when an essential acr is none that this portal knows."""
    essential = situation.asked.essential_acr
    if essential and not set(essential) & set(LEVELS):
        raise UnmetAuthenticationError("None of the essential acr values can be reached here.")


def park(situation: Situation, *, asking: dict[str, Any]) -> Interaction:
    """Keep the request on the server while the person acts; bound to their browser session."""
    assert situation.browser_session is not None  # noqa: S101, the page made sure
    parked = Interaction(
        session_id=situation.browser_session.id,
        client_id=situation.client.client_id,
        parameters=situation.asked.parameters,
        asking=asking,
        business_id=None,
        prompted={},
        decision=None,
        created_at=situation.now,
        expires_at=situation.now + timedelta(seconds=situation.settings.interaction_seconds),
        spent_at=None,
    )
    situation.session.add(parked)
    situation.session.flush()
    return parked


def conclude(situation: Situation) -> str:
    """The code (RFC 6749 §4.1.2), once nothing is left to ask: the decision takes effect with it, or neither does.

    Raises AccessDenied for a no, and AnsweredError when another tab was faster.
    """
    if situation.parked is not None and not interaction.spend(situation.session, situation.parked, now=situation.now):
        raise AnsweredError
    if situation.decision is not None and not situation.decision["allow"]:
        if situation.user is not None:
            decisions.deny(situation.session, situation.user, situation.client, _denied_for(situation), now=situation.now)
        raise AccessDenied("The person denied the access.")
    consent = _consent(situation)
    scopes = opened_by(consent, situation.asked, situation.member)
    if not scopes:
        raise AccessDenied("Nothing of what was asked for is allowed.")
    code, row = new_code(situation, consent, scopes)
    situation.session.execute(insert(table_of(Authorization)).values(row))
    return code


def _denied_for(situation: Situation) -> Membership | None:
    return situation.member if situation.parked is not None and situation.parked.business_id else None


def _consent(situation: Situation) -> Consent:
    """What the person just decided, made to stand; or what stood already."""
    decision, user, member, row = situation.decision, situation.user, situation.member, situation.browser_session
    assert user is not None and member is not None and row is not None  # noqa: S101, no prompt was needed
    if decision is None:
        assert situation.consent is not None  # noqa: S101, no prompt was needed
        return situation.consent
    if not set(decision["scopes"]) <= roles.ceiling(member.role):
        raise AccessDenied("The role of the person has changed, and cannot give this any more.")
    return decisions.allow(
        situation.session, user, member, situation.client,
        asked=situation.asked.scope, scopes=decision["scopes"], duration=decision["duration"],
        browser_session=row, now=situation.now,
    )  # fmt: skip


def opened_by(consent: Consent, asked: AuthorizationRequest, member: Membership | None) -> tuple[str, ...]:
    """What of the request this consent opens, in catalogue order; nothing where the role of today leaves nothing of that.

    A role may rise again and tokens then open more, so it takes no name away while it leaves one.
    """
    found = catalogue.effective(" ".join(asked.scope), consent.scope, frozenset(catalogue.CATALOGUE))
    return found.names if found.opened & roles.ceiling(member.role if member is not None else None) else ()


def new_code(situation: Situation, consent: Consent, scopes: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """A code that is good once and for `code_seconds`, and the row of its authorization, which keeps only its digest."""
    row = situation.browser_session
    assert row is not None  # noqa: S101, no prompt was needed
    code = crypto.new_secret(crypto.CODE)
    return code, {
        "id": new_id(),
        "code_digest": crypto.digest(code),
        "client_id": situation.client.client_id,
        "user_id": consent.user_id,
        "business_id": consent.business_id,
        "consent_id": consent.id,
        "browser_session_id": row.id,
        "session_id": None if catalogue.OFFLINE_ACCESS in scopes else row.id,
        "scope": " ".join(scopes),
        "redirect_uri": situation.asked.redirect_uri,
        "code_challenge": situation.asked.code_challenge,
        "nonce": situation.asked.nonce,
        "auth_time": row.auth_time,
        "amr": list(row.amr),
        "acr": acr(row.amr, situation.asked.essential_acr),
        "created_at": situation.now,
        "code_expires_at": situation.now + timedelta(seconds=situation.settings.code_seconds),
    }
