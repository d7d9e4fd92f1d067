"""What a person came for when they sign in: the parked request of a partner, or a page of the portal.

Only an opaque id or a path of our own travels through the pages; both are checked again at each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from flask import request, url_for
from werkzeug import Response

from portal import db, interaction, web
from portal.accounts import sessions, signin, users
from portal.accounts.models import BrowserSession
from portal.config import Settings
from portal.interaction import Interaction

AFTER_SIGN_IN = "/businesses"
RESUME = "authorize.resume"
MAX_NEXT_LENGTH = 2000
MAX_ID_LENGTH = 64
STEPS = {1: "Sign in", 2: "Confirm it is you", 3: "Choose a business", 4: "Allow or deny"}
"""The corridor; the last two are pages of the room consents."""
LOST = (
    "The request that brought you here has ended, or it was begun in another browser. Nothing was shared. "
    "To connect an application, go back to it and start again."
)


@dataclass
class Journey:
    """`parked` is the live interaction of this browser; `is_lost` says that one was named and there is none."""

    parked: Interaction | None
    is_lost: bool
    next: str
    named: str = ""
    """The id of an interaction that is not this session's, and may be when the person has signed in."""

    @classmethod
    def of_request(cls) -> Journey:
        """From `interaction` and `next`, in the query or in the form."""
        named = request.values.get("interaction") or None
        row = sessions.current()
        parked = interaction.find(db.session, named, session_id=row.id if row else None, now=db.utcnow())
        target = request.values.get("next", "")
        is_own = len(target) <= MAX_NEXT_LENGTH and web.safe_next(target, "") == target
        return cls(parked, named is not None and parked is None, target if is_own else "")

    @property
    def query(self) -> dict[str, Any]:
        """What the next page of the journey must be told."""
        if self.parked is not None or self.named:
            return {"interaction": self.parked.id if self.parked else self.named}
        return {"next": self.next} if self.next else {}

    @property
    def login_hint(self) -> str:
        """The e-mail that the partner thinks is the person's (OIDC Core §3.1.2.1); only ever shown in the form."""
        hint = self.parked.parameters.get("login_hint", "") if self.parked else ""
        return "".join(letter for letter in unquote(str(hint)) if letter.isprintable())[: users.MAX_EMAIL_LENGTH]

    def context(self, number: int) -> dict[str, Any]:
        """What the corridor's layout shows at step `number`; nothing of it outside the corridor."""
        if self.parked is None:
            return {"journey": self, "step": None, "asking": None}
        asking = {**self.parked.asking, "initial": self.parked.asking["client_name"][:1].upper()}
        if asking.get("return_origin"):
            web.allow_form_action(asking["return_origin"])  # the last redirect after this form may lead there
        return {"journey": self, "step": {"number": number, "of": len(STEPS), "title": STEPS[number]}, "asking": asking}

    def needs_second_factor(self, row: BrowserSession) -> bool:
        """Whether the person must set up a second factor before the corridor goes on."""
        settings: Settings = sessions.current_settings()
        return self.parked is not None and settings.mfa == "required" and "mfa" not in row.amr

    def goal(self, default: str = AFTER_SIGN_IN) -> str:
        """Where this leads once the person is who they must be."""
        if self.parked is None:
            return self.next or default
        return url_for(RESUME, interaction=self.parked.id)

    def answer(self, *prompts: str) -> None:
        """Note in the parked request what the person has just done for it."""
        if self.parked is not None:
            signin.answer_prompts(self.parked, *prompts, now=db.utcnow())

    def onward(self, row: BrowserSession) -> Response:
        """Go to what comes next."""
        if self.needs_second_factor(row):
            return web.see_other(url_for("accounts.enrolment", **self.query))
        return web.see_other(self.goal())

    def carry_over(self, *, old_session_id: str, new_session_id: str) -> None:
        """Go on in the browser's new session."""
        if self.parked is not None:
            signin.carry_over(
                db.session, self.parked.id, old_session_id=old_session_id, new_session_id=new_session_id, now=db.utcnow()
            )
