from __future__ import annotations

from datetime import timedelta

from portal import db
from portal.accounts.models import BrowserSession, User
from portal.businesses.models import Membership
from portal.consents.models import Consent
from tests.api.world import ABN, World


def users(world: World, token: str) -> dict[str, dict]:
    answer = world.call("/business/users", token)
    assert answer.status_code == 200
    return {user["email"]: user for user in answer.json["data"]}


def test_the_business_of_the_token_is_told(world: World) -> None:
    answer = world.call("/business", world.grant("business.read").token)
    assert answer.json == {"id": world.business_id, "name": "Acme Super Services", "abn": ABN, "code": answer.json["code"]}


def test_users_are_told_with_role_invitation_and_what_they_granted(world: World) -> None:
    alice = world.add_user(given_name="Alice", middle_name="Maree", family_name="Zulu", email="alice@acme.example")
    world.add_user("fund_auditor", accepted=False, given_name="Bob", family_name="Abbott", email="bob@acme.example")
    world.add_user(business_id=world.add_business(name="Birch & Co"), email="charlie@birch.example")
    grant = world.grant("funds.read business.read openid", user_id=alice)
    answer = world.call("/business/users", grant.token)
    assert answer.json["data"] == [
        {
            "given_name": "Bob", "middle_name": None, "family_name": "Abbott", "email": "bob@acme.example",
            "role": "fund_auditor", "scopes_granted": [], "invitation_status": "invited",
        },
        {
            "given_name": "Alice", "middle_name": "Maree", "family_name": "Zulu", "email": "alice@acme.example",
            "role": "access_controller", "scopes_granted": ["openid", "funds.read", "business.read"],
            "invitation_status": "accepted",
        },
    ]  # fmt: skip


def test_what_was_granted_to_another_application_is_not_told(world: World) -> None:
    alice = world.add_user(email=f"{db.new_id()}@acme.example")
    world.grant("funds.write", user_id=alice)
    grant = world.grant("business.read")
    assert {tuple(user["scopes_granted"]) for user in users(world, grant.token).values()} == {(), ("business.read",)}


def test_what_has_ended_is_not_told(world: World) -> None:
    grant = world.grant("business.read")
    now = db.utcnow()
    for change in ("revoked", "expired", "signed out"):
        past = world.grant("funds.read", client_id=grant.client_id)
        if change == "revoked":
            world.change(Consent, Consent.id == past.consent_id, revoked_at=now, revoke_reason="user")
        elif change == "expired":
            world.change(Consent, Consent.id == past.consent_id, expires_at=now - timedelta(seconds=1))
        else:
            world.change(Consent, Consent.id == past.consent_id, session_id=past.session_id)
            assert sum(user["scopes_granted"] == ["funds.read"] for user in users(world, grant.token).values()) == 1
            world.change(BrowserSession, BrowserSession.id == past.session_id, ended_at=now)
        assert all(user["scopes_granted"] != ["funds.read"] for user in users(world, grant.token).values()), change


def test_what_is_told_as_granted_is_what_it_opens_today(world: World) -> None:
    past = world.grant("openid funds.write funds.create", user_id=world.add_user(email="erin@acme.example"))
    grant = world.grant("business.read", client_id=past.client_id)

    def told() -> list[str]:
        granted: list[str] = users(world, grant.token)["erin@acme.example"]["scopes_granted"]
        return granted

    assert told() == ["openid", "funds.write", "funds.create"]
    world.change(Membership, Membership.user_id == past.user_id, role="fund_auditor")
    assert told() == ["openid", "funds.read"]
    world.change(User, User.id == past.user_id, disabled_at=db.utcnow())
    assert told() == []
    world.change(User, User.id == past.user_id, disabled_at=None)
    world.change(Membership, Membership.user_id == past.user_id, accepted_at=None)
    assert told() == []


def test_who_has_left_is_not_told(world: World) -> None:
    gone = world.add_user(email="gone@acme.example")
    grant = world.grant("business.read")
    assert "gone@acme.example" in users(world, grant.token)
    world.change(Membership, Membership.user_id == gone, ended_at=db.utcnow())
    assert "gone@acme.example" not in users(world, grant.token)
