from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import select, update

from portal import Portal, create_app, crypto, db
from portal.audit.models import AuditEvent
from portal.clients.models import Client
from portal.config import Settings
from portal.oauth import id_token, keys
from portal.oauth.models import Authorization, SigningKey
from tests.conftest import SECRET_KEY
from tests.support.cast import ALICE, Person
from tests.support.clock import Clock
from tests.support.signin import Cast

VERIFIER = "v" * 43


def run(app: Portal, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["keys", *arguments])


def refused(done: Result) -> str:
    assert done.exit_code == 1, done.output
    assert len(done.output.strip().splitlines()) == 1 and done.output.startswith("Error: ")
    return done.output


def rows(app: Portal, model: Any = SigningKey) -> list[Any]:
    with app.app_context():
        return list(db.session.scalars(select(model)))


def published(browser: FlaskClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (browser.get("/oauth/jwks").json or {})["keys"]
    return found


def verifies(browser: FlaskClient, id_token: str) -> bool:
    """As a client checks it: with the key of the header's kid among those that are published."""
    try:
        jwt.decode(id_token, KeySet.import_key_set({"keys": published(browser)}), algorithms=list(keys.ALGORITHMS))
    except JoseError:
        return False
    return True


def sign_in_a_partner(app: Portal, browser: FlaskClient, cast: Cast, clock: Clock, person: Person = ALICE) -> str:
    """The ID token of a code that Ledgerly redeems at the token endpoint."""
    consent, code, now = cast.add_consent(person, scope="openid offline_access"), crypto.new_secret(crypto.CODE), clock.now()
    with app.app_context(), db.transaction() as session:
        session.add(
            Authorization(
                code_digest=crypto.digest(code), client_id=cast.ledgerly.client_id, user_id=person.id, business_id=cast.acme.id,
                consent_id=consent.id, browser_session_id="s", scope=consent.scope, redirect_uri=cast.ledgerly.redirect_uri,
                code_challenge=urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode(), auth_time=now,
                amr=["pwd"], created_at=now, code_expires_at=now + timedelta(minutes=1),
            )
        )  # fmt: skip
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": cast.ledgerly.redirect_uri,
        "code_verifier": VERIFIER,
    }
    answer = browser.post("/oauth/token", data=form, auth=(cast.ledgerly.client_id, cast.ledgerly.secret or ""))
    assert answer.status_code == 200, answer.text
    return str((answer.json or {})["id_token"])


def test_an_id_token_from_before_a_rotation_verifies_after_it(
    app: Portal, browser: FlaskClient, cast: Cast, clock: Clock
) -> None:
    before = sign_in_a_partner(app, browser, cast, clock)
    assert verifies(browser, before)
    done = run(app, "rotate")
    assert done.exit_code == 0 and "3 old ones sign no longer" in done.output
    assert len(published(browser)) == 6 and verifies(browser, before)
    app.extensions["portal-oauth"].keys._loaded_at = float("-inf")  # another worker reads them within RELOAD_SECONDS
    after = sign_in_a_partner(app, browser, cast, clock, cast.bob)
    kids = [json.loads(urlsafe_b64decode(token.split(".")[0] + "==="))["kid"] for token in (before, after)]
    assert kids[0] != kids[1] and verifies(browser, after)


def test_an_old_key_is_published_longer_than_its_tokens_live_and_then_leaves(
    app: Portal, browser: FlaskClient, cast: Cast, clock: Clock
) -> None:
    id_token = sign_in_a_partner(app, browser, cast, clock)
    run(app, "rotate")
    clock.advance(seconds=app.settings.id_token_seconds + 2 * keys.RELOAD_SECONDS)
    assert verifies(browser, id_token) and run(app, "prune").output == "Deleted 0 old keys.\n"
    clock.advance(seconds=10 * keys.RELOAD_SECONDS)
    assert len(published(browser)) == 3 and not verifies(browser, id_token)
    assert run(app, "list").output.count("over, published until") == 3
    clock.advance(seconds=app.settings.session_absolute_seconds)
    assert run(app, "prune").output.startswith("Deleted 3 old keys: ")
    assert len(rows(app)) == 3 and "over" not in run(app, "list").output
    assert [event.kind for event in rows(app, AuditEvent)] == ["key.made", "key.rotated", "key.pruned"]


def test_keys_that_leaked_leave_at_once_with_what_they_signed(
    app: Portal, browser: FlaskClient, cast: Cast, clock: Clock
) -> None:
    run(app, "rotate")
    before, old = sign_in_a_partner(app, browser, cast, clock), {row.kid for row in rows(app)}
    done = run(app, "rotate", "--now")
    assert done.exit_code == 0 and "3 old ones sign no longer and are withdrawn" in done.output
    assert len(published(browser)) == len(rows(app)) == 3 and not old & {row.kid for row in rows(app)}
    assert not verifies(browser, before)
    with app.app_context(), db.reader() as connection:
        assert id_token.read_hint(connection, app.settings.issuer, before) is None
    event = rows(app, AuditEvent)[-1]
    assert event.kind == "key.withdrawn" and set(event.detail["withdrawn_kids"]) == old
    app.extensions["portal-oauth"].keys._loaded_at = float("-inf")  # another worker reads them within RELOAD_SECONDS
    assert verifies(browser, sign_in_a_partner(app, browser, cast, clock, cast.bob))


def test_the_list_tells_what_each_key_does_and_nothing_private(app: Portal, cast: Cast) -> None:
    run(app, "rotate")
    listed = run(app, "list").output
    assert (listed.count("\tsigns\n"), listed.count("\tpublished until ")) == (3, 3)
    assert {line.split("\t")[1] for line in listed.splitlines()} == set(keys.ALGORITHMS)
    assert len(max(listed.split(), key=len)) < 64  # nothing as long as a private key


def test_private_keys_are_encrypted_at_rest(app: Portal, cast: Cast) -> None:
    assert len(rows(app)) == len(keys.ALGORITHMS)
    for row in rows(app):
        jwk = json.loads(app.keyring.decrypt(keys.PURPOSE, row.private_jwk))
        assert jwk["d"].encode() not in row.private_jwk and b"kty" not in row.private_jwk
        assert "d" not in row.public_jwk and row.public_jwk["kid"] == row.kid


def test_the_published_keys_hold_nothing_private(browser: FlaskClient, cast: Cast) -> None:
    assert len(published(browser)) == len(keys.ALGORITHMS)
    for jwk in published(browser):
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(jwk)
        assert jwk["use"] == "sig" and jwk["alg"] in keys.ALGORITHMS


def test_under_another_secret_key_nothing_is_rotated(app: Portal, cast: Cast) -> None:
    other = create_app(replace(app.settings, secret_key=SECRET_KEY[::-1]))
    before = {row.kid: row.retires_at for row in rows(app)}
    assert "PORTAL_SECRET_KEY" in refused(run(other, "rotate"))
    assert {row.kid: row.retires_at for row in rows(app)} == before
    assert run(other, "list").exit_code == 0
    assert run(other, "rotate", "--replace-unreadable").exit_code == 0
    assert run(other, "rotate").exit_code == 0
    other.extensions["portal-database"].dispose()


def test_the_first_keys_are_made_by_a_rotation_too(app: Portal, browser: FlaskClient) -> None:
    assert browser.get("/readyz").json == {"status": "unavailable", "missing": "signing key"}
    assert run(app, "list").output == ""
    assert "There were none before" in run(app, "rotate").output
    assert browser.get("/readyz").status_code == 200 and len(published(browser)) == 3


def test_not_ready_when_every_key_is_retired(app: Portal, browser: FlaskClient, cast: Cast, clock: Clock) -> None:
    assert browser.get("/readyz").status_code == 200
    retire(app, clock)
    assert browser.get("/readyz").json == {"status": "unavailable", "missing": "signing key"}
    run(app, "rotate")
    assert browser.get("/readyz").status_code == 200


def test_ready_depends_on_the_algorithms_that_active_clients_use(
    app: Portal, browser: FlaskClient, cast: Cast, clock: Clock
) -> None:
    retire(app, clock, "EdDSA")
    assert browser.get("/readyz").status_code == 200
    partner = cast.add_client(id_token_signed_response_alg="EdDSA")
    assert browser.get("/readyz").json == {"status": "unavailable", "missing": "signing key"}
    with app.app_context(), db.transaction() as session:
        session.get_one(Client, partner.client_id).disabled_at = clock.now()
    assert browser.get("/readyz").status_code == 200


def test_not_ready_under_another_secret_key(app: Portal, browser: FlaskClient, cast: Cast) -> None:
    other = create_app(replace(app.settings, secret_key=SECRET_KEY[::-1]))
    for _ in range(2):
        answer = other.test_client().get("/readyz")
        assert (answer.status_code, answer.json) == (503, {"status": "unavailable", "missing": "secret key of the signing keys"})
    assert browser.get("/readyz").status_code == 200
    other.extensions["portal-database"].dispose()


def retire(app: Portal, clock: Clock, *algorithms: str) -> None:
    with app.app_context(), db.transaction() as session:
        retired = SigningKey.algorithm.in_(algorithms or keys.ALGORITHMS)
        session.execute(update(SigningKey).where(retired).values(retires_at=clock.now()))


def test_a_database_without_tables_is_told_of(empty_database_url: str) -> None:
    app = create_app(Settings(mode="test", secret_key=SECRET_KEY, database_url=empty_database_url))
    for command in ("rotate", "list", "prune"):
        assert "flask db upgrade" in refused(run(app, command))
    app.extensions["portal-database"].dispose()


@pytest.mark.parametrize("command", ["rotate", "list", "prune"])
def test_every_command_explains_itself(app: Portal, command: str) -> None:
    assert "key" in run(app, command, "--help").output
