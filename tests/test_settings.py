from __future__ import annotations

import ast
import itertools
import os
import subprocess
import sys
from dataclasses import MISSING, fields

import pytest

from portal.config import DEMO_SECRET_KEY, Settings, SettingsError
from tests.conftest import SECRET_KEY
from tests.support.server import ROOT

GOOD = {
    "DATABASE_URL": "postgresql://portal@db.example/portal",
    "PORTAL_ISSUER": "https://portal.example",
    "PORTAL_SECRET_KEY": SECRET_KEY,
}


def test_production_starts_on_good_settings() -> None:
    assert Settings.from_environment(GOOD).is_production


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORTAL_ISSUER", "http://portal.example"),
        ("PORTAL_ISSUER", "https://portal.example/"),
        ("PORTAL_ISSUER", "https://portal.example/path"),
        ("PORTAL_SECRET_KEY", ""),
        ("PORTAL_SECRET_KEY", "short"),
        ("PORTAL_SECRET_KEY", "a" * 64),
        ("PORTAL_SECRET_KEY", DEMO_SECRET_KEY),
        ("PORTAL_LOG_LEVEL", "DEBUG"),
        ("PORTAL_CODE_SECONDS", "601"),
        ("PORTAL_CODE_SECONDS", "0"),
        ("PORTAL_ACCESS_TOKEN_SECONDS", "ten minutes"),
        ("PORTAL_MFA", "sometimes"),
        ("PORTAL_MODE", "staging"),
        ("PORTAL_TIMEZONE", "Australia/Atlantis"),
        ("PORTAL_TIMEZONE", "../etc/passwd"),
        ("PORTAL_ISSUER", "https://portal.example?"),
        ("PORTAL_ISSUER", "https://portal.example#"),
        ("PORTAL_ISSUER", "https://user@portal.example"),
        ("PORTAL_ISSUER", "https://Portal.example"),
        ("PORTAL_ISSUER", "https://portal.example:99999"),
        ("PORTAL_ISSUER", "https://[::1"),
        ("PORTAL_LOG_LEVEL", "LOUD"),
        ("PORTAL_BRAND", "Cl\u202eass"),
        ("PORTAL_BRAND", " "),
        ("PORTAL_SUPPORT_URL", "javascript:alert(1)"),
        ("PORTAL_MAIL_URL", "mail.example"),
        ("PORTAL_MAIL_URL", "smtp://"),
        ("PORTAL_MAIL_URL", "file:"),
        ("PORTAL_MAIL_URL", "smtp://mail.example:port"),
        ("PORTAL_DATABASE_POOL_SIZE", "0"),
        ("PORTAL_VERIFY_KEY", "k" * 31),
        ("PORTAL_VERIFY_KEY", "k" * 32 + '"'),
        ("PORTAL_VERIFY_KEY", "é" * 32),
        ("PORTAL_USAGE_KEPT_DAYS", "89"),
        ("PORTAL_TRUSTED_PROXIES", "-1"),
        ("PORTAL_TRUSTED_PROXIES", "11"),
        ("PORTAL_SESSION_IDLE_SECONDS", "99999999999999999999"),
        ("PORTAL_ACCESS_TOKEN_SECONDS", "3601"),
        ("PORTAL_ONLINE_ACCESS_TOKEN_SECONDS", "86401"),
        ("PORTAL_ID_TOKEN_SECONDS", "86401"),
        ("PORTAL_REFRESH_GRACE_SECONDS", "301"),
        ("PORTAL_PUSHED_REQUEST_SECONDS", "601"),
        ("PORTAL_SESSION_ABSOLUTE_SECONDS", "2592001"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "mysql://db.example/portal"),
        ("DATABASE_URL", "postgresql+psycopg2://db.example/portal"),
    ],
)
def test_production_refuses_a_bad_setting_by_name(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings.from_environment({**GOOD, variable: value})


def test_a_refused_address_is_not_repeated_since_it_may_hold_a_password() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({**GOOD, "DATABASE_URL": "mysql://u:hunter2@h/x", "PORTAL_MAIL_URL": "imap://u:hunter2@h"})
    assert (
        "DATABASE_URL" in str(refused.value) and "PORTAL_MAIL_URL" in str(refused.value) and "hunter2" not in str(refused.value)
    )


def test_each_setting_says_its_variable_and_has_a_default() -> None:
    tree = ast.parse((ROOT / "portal" / "config.py").read_text())
    [body] = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    said = {
        one.target.id: two.value.value
        for one, two in itertools.pairwise(body)
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        and isinstance(two, ast.Expr) and isinstance(two.value, ast.Constant)
    }  # fmt: skip
    for field in fields(Settings):
        variable = "DATABASE_URL" if field.name == "database_url" else f"PORTAL_{field.name.upper()}"
        assert str(said.get(field.name)).startswith(f"{variable}: "), field.name
        assert field.default is not MISSING, field.name


def test_the_settings_of_the_contract_are_there() -> None:
    promised = "database_url issuer secret_key brand timezone mfa mail_url access_token_seconds".split()
    assert set(promised) <= {field.name for field in fields(Settings)}
    assert Settings().secret_key == ""  # no default outside the demo


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"PORTAL_ISSUER.*PORTAL_SECRET_KEY|PORTAL_SECRET_KEY.*PORTAL_ISSUER"):
        Settings.from_environment({**GOOD, "PORTAL_ISSUER": "http://portal.example", "PORTAL_SECRET_KEY": DEMO_SECRET_KEY})


def test_a_refused_start_is_one_clear_line() -> None:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PORTAL_")} | {"PORTAL_SECRET_KEY": "short"}
    ended = subprocess.run(
        [sys.executable, "-c", "import app"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert ended.stderr.count("\n") == 1 and "PORTAL_SECRET_KEY" in ended.stderr
