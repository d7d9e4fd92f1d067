"""What happened in a business, as plain sentences: one table of them, by kind of audit event.

Every member sees how connections and users came and went. How and from where people sign in is theirs alone and is in
no business's history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.audit.models import AuditEvent
from portal.businesses import roles
from portal.consents import catalogue

Facts = Mapping[str, Any]


class Told(dict[str, Any]):
    """The facts of an event. What an event does not know reads as a word that is true of anyone."""

    UNKNOWN = {
        "user_name": "Somebody",
        "client_name": "A partner application",
        "member_name": "Somebody",
        "role": "another role",
        "fund_name": "a fund",
        "fund_member_name": "a member",
    }

    def __missing__(self, name: str) -> str:
        return self.UNKNOWN.get(name, "")


def _ended(facts: Facts) -> str:
    granted_by, user = facts.get("granted_by_name"), facts.get("user_name")
    if not user:
        return "{client_name} gave back its access."
    if granted_by and granted_by != user:
        return "{user_name} ended the access of {client_name} that {granted_by_name} had allowed."
    return "{user_name} ended the access of {client_name}."


def _narrowed(facts: Facts) -> str:
    """What was taken away, by the titles of the catalogue, and what of it was left."""
    if facts.get("taken") not in catalogue.CATALOGUE:
        return "{user_name} took a part of what {client_name} may reach away."
    taken, *kept = (f"“{catalogue.title(name, brand=facts['brand'])}”" for name in (facts["taken"], *(facts.get("kept") or ())))
    sentence = f"{{user_name}} took {taken} away from {{client_name}}"
    if kept:
        sentence += f" and left it {' and '.join(kept)}"
    if facts.get("granted_by_name") not in (None, facts.get("user_name")):
        sentence += "; {granted_by_name} had allowed it"
    return sentence + "."


def _undone(facts: Facts) -> str:
    if facts.get("granted_by_name") not in (None, facts.get("user_name")):
        return "{user_name} undid ending the access of {client_name} that {granted_by_name} had allowed."
    return "{user_name} undid ending the access of {client_name}."


def _added(facts: Facts) -> str:
    return "{member_name} was added as {role}." if facts.get("accepted") else "{member_name} was invited as {role}."


def _left(facts: Facts) -> str:
    if facts.get("declined"):
        return "{member_name} declined the invitation."
    if facts.get("member_name") == facts.get("user_name"):
        return "{member_name} left the business."
    return "{user_name} removed {member_name}; what they had allowed opens nothing since then."


def _policy(facts: Facts) -> str:
    if facts.get("policy") == "access_controllers":
        return "{user_name} let only Access Controllers connect applications."
    return "{user_name} let every accepted user connect applications."


NAMED = {
    "code": "code", "name": "name", "status": "status", "tags": "tags", "latest_period_update": "latest period update",
    "legal_entity_type": "legal entity type", "abn": "ABN", "address": "address", "given_name": "given name",
    "family_name": "family name", "date_of_birth": "date of birth", "joined_on": "joining date", "phase": "phase",
    "balance": "balance", "kind": "kind", "started_on": "starting date",
}  # fmt: skip
"""What a partner may change, in people's words."""


def _changed(facts: Facts) -> str:
    """`the name, status and address`; `details` when it is not known what."""
    words = [NAMED[name] for name in facts.get("changed") or () if name in NAMED]
    if not words:
        return "details"
    return f"the {', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else f"the {words[0]}"


def _fund_created(facts: Facts) -> str:
    with_more = " and loaded its reference data" if facts.get("with_reference_data") else ""
    return f"{{client_name}} created the fund {{fund_name}}{with_more}."


def _fund_changed(facts: Facts) -> str:
    return f"{{client_name}} changed {_changed(facts)} of {{fund_name}}."


def _member_changed(facts: Facts) -> str:
    return f"{{client_name}} changed {_changed(facts)} of {{fund_member_name}} in {{fund_name}}."


def _pension_account_changed(facts: Facts) -> str:
    return f"{{client_name}} changed {_changed(facts)} of the pension account of {{fund_member_name}} in {{fund_name}}."


SENTENCES: dict[str, str | Callable[[Facts], str]] = {
    "consent.given": "{user_name} allowed {client_name} to reach the data of this business.",
    "consent.changed": "{user_name} changed what {client_name} may reach.",
    "consent.narrowed": _narrowed,
    "consent.denied": "{user_name} denied {client_name} access.",
    "consent.revoked": _ended,
    "consent.undone": _undone,
    "consent.expired": "The access of {client_name} that {user_name} had allowed expired.",
    "consent.signed_out": "The access of {client_name} that {user_name} had allowed while signed in ended with that session.",
    "client.disabled": "The operator of {brand} stopped {client_name}: it can reach nothing until it is let go on.",
    "client.enabled": "The operator of {brand} let {client_name} go on: what was allowed and still stands opens again.",
    "user.disabled": "The operator of {brand} keeps {member_name} out: what they had allowed opens nothing until they are let in again.",
    "user.enabled": "The operator of {brand} let {member_name} in again: what they had allowed and still stands opens again.",
    "authorization.revoked": "{client_name} gave back its tokens.",
    "token.reuse_refused": "{client_name} presented a refresh token that was used before; that line of access was ended for safety.",
    "code.replay_refused": "{client_name} presented a code that was used before; what it had produced was ended for safety.",
    "data.document_added": "{client_name} added the document “{document_name}” to {fund_name}.",
    "data.document_refused": "{client_name} sent a document for {fund_name} that the virus scan refused; it was not stored.",
    "membership.added": _added,
    "membership.accepted": "{member_name} accepted the invitation as {role}.",
    "membership.role_changed": "{user_name} made {member_name} {role}, who was {role_before}.",
    "membership.ended": _left,
    "business.policy_changed": _policy,
    "data.fund_created": _fund_created,
    "data.fund_changed": _fund_changed,
    "data.member_changed": _member_changed,
    "data.pension_account_changed": _pension_account_changed,
    "data.reference_data_loaded": "{client_name} loaded reference data into {fund_name}.",
}


@dataclass(frozen=True)
class Entry:
    """One event as a person reads it; `reference` and `technical` stand in the fold."""

    id: str
    at: datetime
    sentence: str
    scopes: tuple[str, ...]
    role: str | None
    """In which the person of the sentence gave the consent that it is about; None when somebody else did."""
    reference: str | None
    technical: tuple[tuple[str, str], ...]


def entry_of(event: AuditEvent, *, with_address: bool, brand: str) -> Entry:
    """The sentence of an event whose kind is in SENTENCES. The network address is for those who manage the business."""
    facts = Told(event.detail, brand=brand)
    for name in ("role", "role_before"):
        if name in facts:
            facts[name] = roles.title(str(facts[name]))
    by_who_gave_it = facts.get("granted_by_name") in (None, facts.get("user_name"))
    shape = SENTENCES[event.kind]
    sentence = (shape if isinstance(shape, str) else shape(facts)).format_map(facts)
    technical = [("Event", event.id), ("Kind", event.kind), ("Client", event.client_id), ("Consent", event.consent_id)]
    if with_address:
        technical.append(("Network address", event.address))
    return Entry(
        id=event.id,
        at=event.at,
        sentence=sentence,
        scopes=tuple(catalogue.in_order(event.detail.get("scopes") or ())),
        role=facts.get("role") if event.kind.startswith("consent.") and by_who_gave_it else None,
        reference=event.request_id,
        technical=tuple((name, value) for name, value in technical if value),
    )
