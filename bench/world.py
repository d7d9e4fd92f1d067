"""What the database holds while it is measured: consents and tokens in the number asked for, and who they belong to.

Consent `n` is of client `n mod 20`; twenty in a row belong to one person with one business. Tokens are made of their
number, so that nothing need be remembered; the portal stores digests only, as ever.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import psycopg

from bench import servers
from portal import create_app, crypto, db, schema
from portal.config import Settings
from portal.consents.catalogue import CATALOGUE
from portal.crypto import Keyring
from portal.funds import cursor as cursors
from portal.oauth import keys

CLIENTS = 20
PLACES_WITH_FUNDS = 50
FUNDS = 25
MANY_FUNDS = 100_000
"""What the first business has beyond those, named so that they come after them."""
DEEP_ID = 10**12
"""Where the ids of those begin."""
REVOCABLE = 8000
"""Authorizations beyond one for each consent, there to be revoked."""
SECRET = crypto.CLIENT_SECRET + "a-secret-that-only-this-bench-knows-0123456789"
REDIRECT_URI = "https://partner.example/callback"
SCOPE = " ".join(CATALOGUE)
IN_USE = 50
"""Tokens and sessions that come back, as a partner comes back with its token; the same number at every size."""


@dataclass(frozen=True, slots=True)
class Item:
    """What one call is made with: a secret, and the number of the consent it belongs to."""

    number: int
    secret: str


@dataclass(frozen=True)
class Facts:
    """What the load must know of a running server."""

    port: int
    consents: int

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client_of(self, number: int) -> tuple[str, str]:
        return id_of("client", number % CLIENTS), SECRET

    def user_of(self, number: int) -> str:
        return id_of("user", number // CLIENTS)

    def business_of(self, number: int) -> str:
        return id_of("business", number // CLIENTS)

    def first_fund_of(self, number: int) -> str:
        return id_of("fund", number // CLIENTS * FUNDS)


def id_of(kind: str, number: int) -> str:
    """26 characters, like those the portal makes."""
    return f"{kind[0]}{number:025d}"


def secret_of(prefix: str, number: int) -> str:
    """As long as the portal's own."""
    return f"{prefix}{number:043d}"


def items(kind: str, consents: int, most: int) -> list[Item]:
    """Up to `most` items of one kind, picked by chance from all of the table, the same in every run."""
    chance = random.Random(kind)
    if kind == "to revoke":
        kinds = (crypto.ACCESS_TOKEN, crypto.REFRESH_TOKEN)
        return [Item(n % consents, secret_of(kinds[n % 2], consents + n)) for n in range(REVOCABLE)]
    if kind == "session":
        numbers = chance.sample(range(0, consents, CLIENTS), min(consents // CLIENTS, IN_USE))
        return [Item(number, secret_of("", number // CLIENTS)) for number in numbers]
    if kind == "access with funds":
        numbers = [number for number in range(consents) if has_funds(number // CLIENTS, consents)]
        return [Item(number, secret_of(crypto.ACCESS_TOKEN, number)) for number in chance.sample(numbers, IN_USE)]
    if kind == "access with many funds":
        return [Item(number, secret_of(crypto.ACCESS_TOKEN, number)) for number in range(CLIENTS)]
    if kind == "cursor":
        return [_far_down(number, depth) for number, depth in enumerate(chance.sample(range(MANY_FUNDS - 100), IN_USE))]
    prefix = {"access": crypto.ACCESS_TOKEN, "refresh": crypto.REFRESH_TOKEN}[kind]
    return [Item(number, secret_of(prefix, number)) for number in chance.sample(range(consents), min(consents, most))]


def deep_name(number: int) -> str:
    """Of the first business's many funds the one of this number, counted from 0, in the order of the list."""
    return f"Fund deep {number:06d}"


def _far_down(number: int, depth: int) -> Item:
    """A token of the first business, and the cursor after the fund at this depth, sealed as the portal seals it."""
    token = secret_of(crypto.ACCESS_TOKEN, number % CLIENTS)
    query = (id_of("business", 0), None, None, None)
    cursor = cursors.make(Keyring(servers.SECRET_KEY), query, (deep_name(depth), id_of("fund", DEEP_ID + depth)))
    return Item(depth, f"{token} {cursor}")


def every(consents: int) -> int:
    """Of how many places one has funds: enough places for every call, however many consents there are."""
    return max(1, consents // CLIENTS // PLACES_WITH_FUNDS)


def has_funds(place: int, consents: int) -> bool:
    return place % every(consents) == 0 and place // every(consents) < PLACES_WITH_FUNDS


def build(settings: Settings, consents: int) -> None:
    """Make the schema and the keys as the portal does, and fill the tables by one statement each."""
    app = create_app(settings)
    with app.app_context():
        schema.upgrade(db.current_database().pages)
        with db.transaction() as session:
            keys.ensure_keys(session, app.keyring, now=db.utcnow())
        db.close()
        db.current_database().dispose()
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(
            "SET session_replication_role = replica"
        )  # no foreign key is checked: there are millions, and they hold
        numbers = {"consents": consents, "places": consents // CLIENTS, "clients": CLIENTS, "all": consents + REVOCABLE}
        texts = {"scope": SCOPE, "secret": SECRET, "redirect_uri": REDIRECT_URI}
        funds = {
            "many": MANY_FUNDS,
            "funds": FUNDS,
            "every": every(consents),
            "funded": min(PLACES_WITH_FUNDS, consents // CLIENTS),
        }
        for statement in FILL:
            connection.execute(statement, numbers | texts | funds, prepare=False)
        for settle in ("VACUUM (ANALYZE)", "CHECKPOINT"):
            connection.execute(settle)


def count_revoked(settings: Settings) -> int:
    """How many of the tokens that are there to be revoked open nothing any more."""
    with psycopg.connect(settings.database_url) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM access_tokens WHERE revoked_at IS NOT NULL)"
            " + (SELECT count(*) FROM authorizations WHERE end_reason = 'revoked')"
        ).fetchone()
    return int(row[0]) if row else 0


def _id(kind: str, number: str) -> str:
    return f"'{kind[0]}' || lpad(({number})::text, 25, '0')"


def _digest(prefix: str, number: str) -> str:
    return f"sha256(convert_to('{prefix}' || lpad(({number})::text, 43, '0'), 'UTF8'))"


def _each(count: str) -> str:
    return f"FROM generate_series(0, %({count})s - 1) AS n"


ADDRESS = '{"street_address": "1 Wharf Street", "locality": "Sydney", "region": "NSW", "postal_code": "2000", "country": "AU"}'
CHALLENGE = "x" * 43
FILL = (
    f"""INSERT INTO clients (client_id, client_name, publisher, application_type, token_endpoint_auth_method, secret_digest,
        redirect_uris, post_logout_redirect_uris, scope, required_scopes, scope_reasons, id_token_signed_response_alg,
        is_resource_server, contacts, created_at)
    SELECT {_id("client", "n")}, 'Partner ' || n, 'Partner Pty Ltd', 'web', 'client_secret_basic',
        sha256(convert_to(%(secret)s, 'UTF8')), json_build_array(%(redirect_uri)s::text), '[]', %(scope)s, '["openid"]', '{{}}',
        'ES256', false, '[]', now() {_each("clients")}""",
    f"""INSERT INTO users (id, email, email_verified_at, given_name, family_name, address, zoneinfo, created_at)
    SELECT {_id("user", "n")}, 'person-' || n || '@bench.example', now(), 'Given', 'Family ' || n, '{ADDRESS}',
        'Australia/Sydney', now() {_each("places")}""",
    f"""INSERT INTO totp_factors (user_id, secret, last_step, confirmed_at)
    SELECT {_id("user", "n")}, 'nobody signs in', 0, now() {_each("places")}""",
    f"""INSERT INTO sessions (id, digest, data, user_id, auth_time, amr, created_at, last_seen_at, idle_expires_at, expires_at)
    SELECT {_id("session", "n")}, {_digest("", "n")}, '{{"csrf_token": "of-nobody"}}', {_id("user", "n")}, now(),
        '["pwd", "otp", "mfa"]', now(), now(), now() + interval '1 day', now() + interval '1 day' {_each("places")}""",
    f"""INSERT INTO businesses (id, name, abn, code, connect_policy, fund_count, created_at)
    SELECT {_id("business", "n")}, 'Business ' || n, '51824753556', 'B' || n, 'members', %(funds)s, now() {_each("places")}""",
    f"""INSERT INTO memberships (id, user_id, business_id, role, invited_at, accepted_at)
    SELECT {_id("membership", "n")}, {_id("user", "n")}, {_id("business", "n")}, 'fund_administrator', now(), now()
    {_each("places")}""",
    f"""INSERT INTO funds (id, business_id, name, code, status, tags, legal_entity_type, abn, latest_period_update, address,
        version, created_at, updated_at)
    SELECT {_id("fund", "n * %(every)s * %(funds)s + f")}, {_id("business", "n * %(every)s")},
        'Fund ' || lpad(f::text, 4, '0'), 'F' || f, 'active', '["audit due"]', 'SMSF', '51824753556', '2026-06-30', '{ADDRESS}',
        1, now(), now() {_each("funded")}, generate_series(0, %(funds)s - 1) AS f""",
    f"""INSERT INTO funds (id, business_id, name, code, status, tags, legal_entity_type, abn, latest_period_update, address,
        version, created_at, updated_at)
    SELECT {_id("fund", f"{DEEP_ID} + n")}, {_id("business", "0")}, 'Fund deep ' || lpad(n::text, 6, '0'), 'D' || n, 'active',
        '["audit due"]', 'SMSF', '51824753556', '2026-06-30', '{ADDRESS}', 1, now(), now() {_each("many")}""",
    f"""INSERT INTO consents (id, user_id, business_id, client_id, scope, asked, duration, role, granted_at, expires_at)
    SELECT {_id("consent", "n")}, {_id("user", "n / %(clients)s")}, {_id("business", "n / %(clients)s")},
        {_id("client", "mod(n, %(clients)s)")}, %(scope)s, %(scope)s, '12_months', 'fund_administrator', now(),
        now() + interval '1 year' {_each("consents")}""",
    f"""INSERT INTO authorizations (id, code_digest, client_id, user_id, business_id, consent_id, browser_session_id, scope,
        redirect_uri, code_challenge, nonce, auth_time, amr, created_at, code_expires_at, code_used_at)
    SELECT {_id("authorization", "n")}, {_digest(crypto.CODE, "n")}, {_id("client", "mod(c, %(clients)s)")},
        {_id("user", "c / %(clients)s")}, {_id("business", "c / %(clients)s")}, {_id("consent", "c")},
        {_id("session", "c / %(clients)s")}, %(scope)s, %(redirect_uri)s, '{CHALLENGE}', 'a-nonce', now(),
        '["pwd", "otp", "mfa"]', now(), now(), now()
    {_each("all")}, LATERAL (SELECT mod(n, %(consents)s) AS c) AS its""",
    f"""INSERT INTO access_tokens (digest, authorization_id, issued_at, expires_at)
    SELECT {_digest(crypto.ACCESS_TOKEN, "n")}, {_id("authorization", "n")}, now(), now() + interval '1 day' {_each("all")}""",
    f"""INSERT INTO refresh_tokens (digest, authorization_id, issued_at)
    SELECT {_digest(crypto.REFRESH_TOKEN, "n")}, {_id("authorization", "n")}, now() {_each("all")}""",
)
