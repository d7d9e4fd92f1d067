from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyotp
from flask.testing import FlaskCliRunner
from sqlalchemy import func, select

from portal import Portal, create_app, crypto, db
from portal.accounts.models import TotpFactor, User
from portal.audit.models import AuditEvent
from portal.businesses.models import Business, Membership
from portal.clients.models import Client
from portal.consents.catalogue import CATALOGUE
from portal.consents.models import Consent, UsageDay
from portal.demo import people
from portal.demo.chance import Chance
from portal.funds.models import FUND_STATUSES, Document, Fund, Member, PensionAccount
from portal.oauth.models import SigningKey
from tests.demo.test_data import is_valid_abn

TABLES = (User, TotpFactor, Business, Membership, Client, Consent, Fund, Member, PensionAccount, Document, SigningKey, AuditEvent)


def load(app: Portal, **environ: str):
    return FlaskCliRunner(app).invoke(args=["demo", "load"], env=environ)


def counts(app: Portal) -> dict[str, int]:
    with app.app_context():
        return {model.__name__: db.session.scalar(select(func.count()).select_from(model)) for model in TABLES}


def all_of(app: Portal, model, *where):
    with app.app_context():
        return list(db.session.scalars(select(model).where(*where)))


def add_stranger(app: Portal) -> None:
    with app.app_context(), db.transaction() as session:
        session.add(User(email="someone@else.example", given_name="Some", family_name="One", created_at=db.utcnow()))


def test_loading_says_what_it_did(app: Portal) -> None:
    result = load(app)
    assert result.exit_code == 0, result.output
    assert re.fullmatch(
        r"Loaded 10 people, 14 businesses, \d+ funds, \d+ members, \d+ documents, 3 partner applications\.\n", result.output
    )


def test_loading_twice_changes_nothing(loaded: Portal) -> None:
    before = counts(loaded)
    result = load(loaded)
    assert result.exit_code == 0
    assert result.output == "The demo data is there already.\n"
    assert counts(loaded) == before


def test_loading_again_keeps_what_came_of_using_the_demo(loaded: Portal) -> None:
    add_stranger(loaded)
    before = counts(loaded)
    assert load(loaded).exit_code == 0
    assert counts(loaded) == before


def test_a_database_with_other_peoples_data_is_left_alone(app: Portal) -> None:
    add_stranger(app)
    before = counts(app)
    result = load(app)
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert "other people’s data" in result.output
    assert counts(app) == before


def test_a_production_portal_that_others_can_reach_is_refused(app: Portal) -> None:
    settings = replace(app.settings, mode="production", issuer="https://portal.example", secret_key=crypto.new_secret())
    public = create_app(settings)
    result = load(public)
    assert result.exit_code == 1
    assert "passwords are public" in result.output
    assert len(result.output.splitlines()) == 1
    assert counts(app)["User"] == 0


def test_a_database_without_tables_is_told_what_to_do(bare: Portal) -> None:
    result = load(bare)
    assert result.exit_code == 1
    assert "flask db upgrade" in result.output
    assert len(result.output.splitlines()) == 1


def test_a_sign_in_costs_what_it_costs_everywhere(loaded: Portal) -> None:
    hashes = [user.password_hash for user in all_of(loaded, User) if user.password_hash]
    assert len(hashes) == 5
    assert not any(loaded.extensions["portal-passwords"].needs_rehash(stored) for stored in hashes)


def test_funds_are_many_and_look_real(loaded: Portal) -> None:
    funds, businesses = all_of(loaded, Fund), all_of(loaded, Business)
    by_business = {business.code: [fund for fund in funds if fund.business_id == business.id] for business in businesses}
    assert len(by_business["ACME"]) == 40
    assert len(by_business["NORTHSIDE"]) == 320
    assert all(business.fund_count == len(by_business[business.code]) for business in businesses)
    assert all(is_valid_abn(row.abn) for row in [*funds, *businesses])
    assert len({row.abn for row in [*funds, *businesses]}) == len(funds) + len(businesses)
    assert {fund.status for fund in by_business["ACME"]} <= set(FUND_STATUSES)
    for held in by_business.values():
        assert len({fund.name for fund in held}) == len(held) == len({fund.code for fund in held})
    today = db.utcnow().date()
    assert all(fund.latest_period_update is None or fund.latest_period_update < today for fund in funds)
    for member in all_of(loaded, Member):
        assert member.date_of_birth < member.joined_on < today
        assert member.balance > 0


def test_the_clients_are_as_announced(loaded: Portal) -> None:
    clients = {client.client_id: client for client in all_of(loaded, Client)}
    ledgerly, pocketfolio = clients["ledgerly-demo"], clients["pocketfolio-demo"]
    assert ledgerly.token_endpoint_auth_method == "client_secret_basic"
    assert ledgerly.secret_digest == crypto.digest("ledgerly-demo-secret-for-local-use-only")
    assert ledgerly.redirect_uris == ["http://127.0.0.1:5001/callback"]
    assert ledgerly.scopes == list(CATALOGUE)
    assert ledgerly.required_scopes == ["openid", "funds.summary"]
    assert pocketfolio.is_public
    assert pocketfolio.application_type == "native"
    assert pocketfolio.redirect_uris == ["http://127.0.0.1/callback"]
    assert not {"funds.write", "funds.create"} & set(pocketfolio.scopes)
    for client in clients.values():
        assert set(client.required_scopes) <= set(client.scopes) == set(client.scope_reasons)
        assert client.logo
        assert Path(str(loaded.static_folder), client.logo).is_file()


def test_the_sample_partner_may_move_to_another_port(loaded: Portal) -> None:
    assert load(loaded, PARTNER_PORT="6001").exit_code == 0
    [ledgerly] = all_of(loaded, Client, Client.client_id == "ledgerly-demo")
    assert ledgerly.redirect_uris == ["http://127.0.0.1:6001/callback"]
    assert load(loaded).output == "The demo data is there already.\n"
    [ledgerly] = all_of(loaded, Client, Client.client_id == "ledgerly-demo")
    assert ledgerly.redirect_uris == ["http://127.0.0.1:6001/callback"], "no port was named, so it stays where it is"
    told = [event.detail["changes"].keys() for event in all_of(loaded, AuditEvent, AuditEvent.kind == "client.changed")]
    assert told == [{"redirect_uris", "post_logout_redirect_uris"}]
    assert "at http://127.0.0.1:5001 now" in load(loaded, PARTNER_PORT="5001").output
    refused = load(loaded, PARTNER_PORT="sixty")
    assert refused.exit_code == 1
    assert "PARTNER_PORT" in refused.output


def test_everyone_of_the_cast_has_their_second_factor_but_dana(loaded: Portal) -> None:
    with loaded.app_context():
        rows = db.session.execute(select(User.email, TotpFactor.secret).join(TotpFactor, TotpFactor.user_id == User.id)).all()
    assert {row.email for row in rows} == {people.ALICE, people.BOB, people.CHARLIE, people.PRIYA}
    assert {loaded.keyring.decrypt("totp", row.secret) for row in rows} == {b"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}


def test_there_is_a_history_to_look_at_but_acme_begins_with_none(loaded: Portal) -> None:
    now = db.utcnow()
    codes = {business.id: business.code for business in all_of(loaded, Business)}
    consents = all_of(loaded, Consent)
    assert "ACME" not in {codes[consent.business_id] for consent in consents}
    northside = [consent for consent in consents if codes[consent.business_id] == "NORTHSIDE"]
    standing = [consent for consent in northside if consent.revoked_at is None]
    assert any(timedelta(days=11) < consent.expires_at - now <= timedelta(days=12) for consent in standing)
    assert all(consent.last_accessed_at and consent.granted_at < consent.last_accessed_at < now for consent in northside)
    assert [consent.revoke_reason for consent in northside if consent.revoked_at is not None] == ["user"]


def test_the_history_is_in_the_order_of_time(loaded: Portal) -> None:
    events = [event for event in sorted(all_of(loaded, AuditEvent), key=lambda event: event.id) if event.consent_id]
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert {event.kind for event in events} == {"consent.given", "consent.revoked"}


def test_ids_of_the_demo_sort_before_those_made_now() -> None:
    assert Chance().new_id() < db.new_id()
    assert len(Chance().new_id()) == 26
    assert Chance().new_id(db.utcnow() + timedelta(seconds=5)) > db.new_id()


def test_the_code_is_the_one_an_authenticator_app_shows(app: Portal) -> None:
    result = FlaskCliRunner(app).invoke(args=["demo", "code"])
    totp = pyotp.TOTP(people.TOTP_SECRET)
    assert result.exit_code == 0
    assert totp.verify(result.output[:6], valid_window=1)


def test_the_first_funds_have_documents_that_can_be_opened(loaded: Portal) -> None:
    store = loaded.extensions["portal-documents"]
    contents = {content.address.sha256: content.address for content in store.contents()}
    documents = all_of(loaded, Document)
    assert len(documents) >= 24
    for document in documents:
        pieces = store.read(contents[document.sha256], 0, document.size)
        content = b"".join(pieces)
        pieces.close()
        assert len(content) == document.size
        if document.media_type == "application/pdf":
            start = int(content.rpartition(b"startxref\n")[2].split()[0])
            assert content.startswith(b"%PDF-") and content[start:].startswith(b"xref\n")
            places = [int(line[:10]) for line in content[start:].splitlines() if line.endswith(b" 00000 n ")]
            assert [content[place:].split()[0] for place in places] == [b"1", b"2", b"3", b"4", b"5"]


def test_without_a_store_nothing_is_loaded(app: Portal) -> None:
    Path(app.settings.documents_url.removeprefix("file:")).write_text("in the way")
    result = load(app)
    assert result.exit_code == 1 and "PORTAL_DOCUMENTS_URL" in result.output
    assert not any(counts(app).values())


def test_what_was_connected_before_has_been_used_and_something_of_it_never(loaded: Portal) -> None:
    uses, today = all_of(loaded, UsageDay), db.utcnow().date()
    consents = {consent.id: consent for consent in all_of(loaded, Consent)}
    used = {consent.id for consent in consents.values() if consent.last_accessed_at is not None}
    assert {use.consent_id for use in uses} == used and len(used) >= 3
    for use in uses:
        consent = consents[use.consent_id]
        assert consent.granted_at.date() <= use.day <= today + timedelta(days=1)
        assert use.last_at is None or (consent.last_accessed_at is not None and use.last_at <= consent.last_accessed_at)
    assert sum(use.calls for use in uses) > 1000 and any(use.refused for use in uses)
    assert "members.read" in {scope for consent in consents.values() for scope in consent.scopes} - {use.scope for use in uses}
