from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc.jwk import ECKey

from portal import Portal, create_app, crypto
from portal.config import Settings
from tests.clients.conftest import DOCUMENT, Office, one_line
from tests.conftest import SECRET_KEY
from tests.support.clock import Clock
from tests.support.signin import Cast


def introspect(browser: FlaskClient, client_id: str, secret: str) -> int:
    """Whether the client may speak: introspection answers 200 to who authenticates, 401 to all else."""
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    answer = browser.post("/oauth/introspect", data={"token": "unknown"}, headers={"Authorization": f"Basic {basic}"})
    return answer.status_code


# registering


def test_a_registered_client_authenticates_with_the_secret_it_was_told_once(office: Office, browser: FlaskClient) -> None:
    answer = office.register()
    assert introspect(browser, answer["client_id"], answer["client_secret"]) == 200
    assert introspect(browser, answer["client_id"], answer["client_secret"] + "x") == 401
    assert answer["client_secret"].startswith(crypto.CLIENT_SECRET) and answer["client_secret_expires_at"] == 0
    assert (answer["token_endpoint_auth_method"], answer["id_token_signed_response_alg"]) == ("client_secret_basic", "ES256")
    client = office.client(answer["client_id"])
    assert client.secret_digest == crypto.digest(answer["client_secret"])
    for arguments in (["show", client.client_id], ["list"]):
        assert answer["client_secret"] not in office.run(*arguments).output


def test_registering_says_what_it_did_beside_the_json(office: Office) -> None:
    done = office.run("register", "--json", "-", document=DOCUMENT)
    client_id = json.loads(done.stdout)["client_id"]
    assert done.stderr == (
        f"Registered Quokka Ledger of Quokka Software Pty Ltd as {client_id}."
        " Its secret is shown only now; here only a digest of it is kept.\n"
    )


def test_a_registration_is_an_event_without_the_secret(office: Office) -> None:
    answer = office.register()
    [event] = office.events(answer["client_id"])
    assert event.kind == "client.registered" and event.detail["client_name"] == "Quokka Ledger"
    assert event.detail["registration"]["scope"] == "openid funds.summary"
    assert answer["client_secret"] not in json.dumps(event.detail)


def test_a_registration_is_read_from_a_file(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "quokka.json"
    file.write_text(json.dumps({**DOCUMENT, "client_id": "quokka-1", "logo": "logos/ledgerly.svg"}))
    done = office.run("register", "--json", str(file))
    assert done.exit_code == 0 and json.loads(done.stdout)["client_id"] == "quokka-1"
    assert office.client("quokka-1").logo == "logos/ledgerly.svg"


def test_a_public_client_and_one_with_keys_get_no_secret(office: Office) -> None:
    public = office.register(
        token_endpoint_auth_method="none", application_type="native", redirect_uris=["http://127.0.0.1/callback"]
    )
    keys = {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}
    signing = office.register(token_endpoint_auth_method="private_key_jwt", jwks=keys)
    for answer in (public, signing):
        assert "client_secret" not in answer
        assert office.client(answer["client_id"]).secret_digest is None


def test_every_mistake_is_told_in_one_line_and_nothing_is_stored(office: Office) -> None:
    line = office.refused(redirect_uris=["javascript:alert(1)"], scope="everything", client_name="x\u202e\ny")
    assert all(word in line for word in ("Nothing was registered", "redirect_uris", "'everything'", "client_name"))
    assert "\u202e" not in line


@pytest.mark.parametrize("document", ["", "[]", "{", b"\xff\x00", '{"a": 1, "a": 2}'])
def test_what_is_no_document_is_told_in_one_line(office: Office, document: Any) -> None:
    assert "Nothing was registered: the document is" in office.refused(document=document or " ")


def test_a_file_that_is_not_there_is_told_in_one_line(office: Office, tmp_path: Path) -> None:
    for source in (tmp_path / "missing.json", tmp_path):
        assert "cannot be read" in one_line(office.run("register", "--json", str(source)))


def test_an_id_is_given_once(office: Office) -> None:
    office.register(client_id="quokka-1")
    assert "client_id quokka-1 is registered already" in office.refused(client_id="quokka-1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_name": "Ledgerly"}, "'Ledgerly' would be taken for 'Ledgerly' of another publisher"),
        ({"client_name": "LEDGER1Y"}, "would be taken for 'Ledgerly'"),
        ({"publisher": "Ledger1y Pty Ltd"}, "publisher 'Ledger1y Pty Ltd' would be taken for 'Ledgerly Pty Ltd'"),
        ({"client_name": "ledgerly pty ltd"}, "client_name 'ledgerly pty ltd' would be taken for 'Ledgerly Pty Ltd'"),
    ],
)
def test_a_name_that_looks_like_anothers_is_refused(office: Office, cast: Cast, changes: dict[str, str], words: str) -> None:
    assert words in office.refused(**changes)
    assert office.register("--similar-name", **changes)["client_id"]


def test_a_publisher_may_register_two_of_one_name(office: Office, cast: Cast) -> None:
    publisher = office.client(cast.ledgerly.client_id).publisher
    assert office.register(client_name="Ledgerly", publisher=publisher)["client_id"]


def test_only_the_operators_flag_makes_a_resource_server(office: Office) -> None:
    assert "--resource-server" in office.refused(is_resource_server=True)
    answer = office.register("--resource-server")
    assert office.client(answer["client_id"]).is_resource_server
    assert office.events(answer["client_id"])[0].detail["registration"]["is_resource_server"] is True
    assert "resource server" in office.run("list").output


# changing


def test_an_update_changes_what_it_names_and_leaves_the_rest(office: Office) -> None:
    client_id = office.register(policy_uri="https://quokka.example/privacy")["client_id"]
    done = office.run("update", client_id, "--json", "-", document={"client_name": "Quokka Books", "policy_uri": None})
    assert done.exit_code == 0 and done.stderr == f"Changed client_name, policy_uri of {client_id}.\n"
    client = office.client(client_id)
    assert (client.client_name, client.policy_uri, client.scope) == ("Quokka Books", None, "openid funds.summary")
    assert office.events(client_id)[-1].detail["changes"]["client_name"] == ["Quokka Ledger", "Quokka Books"]


def test_an_update_that_changes_nothing_says_so(office: Office) -> None:
    client_id = office.register()["client_id"]
    shown = office.run("show", client_id).stdout
    done = office.run("update", client_id, "--json", "-", document=shown)
    assert done.exit_code == 0 and "as the document says already" in done.stderr
    assert [event.kind for event in office.events(client_id)] == ["client.registered"]


def test_the_whole_is_checked_when_a_part_changes(office: Office) -> None:
    client_id = office.register()["client_id"]
    for document, word in (
        ({"scope": "profile"}, "required_scopes"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"client_id": "other"}, "client_id cannot be changed"),
        ({"publisher": None}, "publisher"),
    ):
        assert word in one_line(office.run("update", client_id, "--json", "-", document=document))
    assert [event.kind for event in office.events(client_id)] == ["client.registered"]
    assert office.client(client_id).scope == "openid funds.summary"


def test_a_client_that_becomes_public_loses_its_secret_and_gets_a_new_one_back(office: Office, browser: FlaskClient) -> None:
    answer = office.register()
    client_id = answer["client_id"]
    office.run("update", client_id, "--json", "-", document={"token_endpoint_auth_method": "none"})
    assert introspect(browser, client_id, answer["client_secret"]) == 401
    assert office.client(client_id).secret_digest is None
    back = json.loads(
        office.run("update", client_id, "--json", "-", document={"token_endpoint_auth_method": "client_secret_basic"}).stdout
    )
    assert back["client_secret"] != answer["client_secret"]
    assert introspect(browser, client_id, back["client_secret"]) == 200


def test_a_client_that_returns_to_this_machine_becomes_public_as_native_alone(office: Office) -> None:
    client_id = office.register(redirect_uris=["http://127.0.0.1/callback"])["client_id"]
    public = {"token_endpoint_auth_method": "none"}
    assert "Register it as native" in one_line(office.run("update", client_id, "--json", "-", document=public))
    native = {**public, "application_type": "native"}
    assert office.run("update", client_id, "--json", "-", document=native).exit_code == 0


def test_a_name_may_not_be_changed_into_anothers(office: Office, cast: Cast) -> None:
    client_id = office.register()["client_id"]
    assert "would be taken for" in one_line(office.run("update", client_id, "--json", "-", document={"client_name": "Ledger1y"}))


# secrets


def test_two_secrets_overlap_and_then_one_is_left(office: Office, browser: FlaskClient, clock: Clock) -> None:
    answer = office.register()
    client_id, first = answer["client_id"], answer["client_secret"]
    done = office.run("rotate-secret", client_id)
    second = json.loads(done.stdout)["client_secret"]
    assert "works for another 24 hours" in done.stderr and second not in done.stderr
    assert [introspect(browser, client_id, secret) for secret in (first, second)] == [200, 200]
    clock.advance(hours=24, minutes=1)
    assert [introspect(browser, client_id, secret) for secret in (first, second)] == [401, 200]
    event = office.events(client_id)[-1]
    assert event.kind == "client.changed" and event.detail["secret_rotated"] and second not in json.dumps(event.detail)


def test_a_leaked_secret_stops_at_once(office: Office, browser: FlaskClient) -> None:
    answer = office.register()
    done = office.run("rotate-secret", answer["client_id"], "--overlap-hours", "0")
    assert "does not work any more" in done.stderr
    assert introspect(browser, answer["client_id"], answer["client_secret"]) == 401
    assert introspect(browser, answer["client_id"], json.loads(done.stdout)["client_secret"]) == 200


def test_who_has_no_secret_gets_none(office: Office) -> None:
    client_id = office.register(token_endpoint_auth_method="none")["client_id"]
    assert "has no secret: it authenticates by none" in one_line(office.run("rotate-secret", client_id))


# stopping


def test_a_disabled_client_stops_at_once_and_goes_on_when_enabled(office: Office, browser: FlaskClient, cast: Cast) -> None:
    secret = cast.ledgerly.secret
    assert secret is not None
    assert introspect(browser, cast.ledgerly.client_id, secret) == 200
    done = office.run("disable", cast.ledgerly.client_id)
    assert done.exit_code == 0 and "Disabled Ledgerly of Ledgerly Pty Ltd" in done.output
    assert introspect(browser, cast.ledgerly.client_id, secret) == 401
    form = {
        "grant_type": "refresh_token",
        "refresh_token": "cprt_x",
        "client_id": cast.ledgerly.client_id,
        "client_secret": secret,
    }
    assert browser.post("/oauth/token", data=form).status_code == 401
    assert "disabled since" in office.run("list").output
    assert "disabled already" in one_line(office.run("disable", cast.ledgerly.client_id))
    assert office.run("enable", cast.ledgerly.client_id).exit_code == 0
    assert introspect(browser, cast.ledgerly.client_id, secret) == 200
    assert "is not disabled" in one_line(office.run("enable", cast.ledgerly.client_id))
    assert [event.kind for event in office.events(cast.ledgerly.client_id)] == ["client.disabled", "client.enabled"]


@pytest.mark.parametrize("command", ["disable", "enable", "show", "rotate-secret"])
def test_an_unknown_client_is_told_in_one_line(office: Office, command: str) -> None:
    assert "There is no client with the id" in one_line(office.run(command, "nobody\nat all"))


def test_a_database_without_tables_is_told_of(empty_database_url: str) -> None:
    app: Portal = create_app(Settings(mode="test", secret_key=SECRET_KEY, database_url=empty_database_url))
    office = Office(app)
    for arguments in (["list"], ["show", "x"], ["disable", "x"], ["enable", "x"], ["rotate-secret", "x"]):
        assert "flask db upgrade" in one_line(office.run(*arguments))
    assert "flask db upgrade" in one_line(office.run("register", "--json", "-", document=DOCUMENT))
    app.extensions["portal-database"].dispose()


@pytest.mark.parametrize("command", ["register", "update", "rotate-secret", "list", "show", "disable", "enable"])
def test_every_command_explains_itself(app: Portal, command: str) -> None:
    done = app.test_cli_runner().invoke(args=["clients", command, "--help"])
    assert done.exit_code == 0 and len(done.output) > 150
