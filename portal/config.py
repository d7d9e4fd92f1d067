"""What can be set from outside: one dataclass, read from the environment once, checked once.

Every name is the environment variable in lower case without a prefix change: `PORTAL_ISSUER` is `issuer`.
Durations are whole seconds and say so in their name.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Self
from urllib.parse import SplitResult, parse_qs, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

DEMO_SECRET_KEY = "demo-only-secret-key-never-use-this-outside-the-demo"
MINIMUM_SECRET_KEY_LENGTH = 32
VERIFY_KEY = re.compile(rf"[A-Za-z0-9._~-]{{{MINIMUM_SECRET_KEY_LENGTH},200}}")
"""What a header, and the configuration of any proxy, can hold as it is."""
MAXIMUM_SECONDS = 315360000
"""Ten years; beyond that a date can no longer be reckoned with."""
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?")
LONGEST_SECONDS = {
    "access_token_seconds": 3600,
    "online_access_token_seconds": 86400,
    "id_token_seconds": 86400,
    "refresh_grace_seconds": 300,
    "pushed_request_seconds": 600,
    "session_absolute_seconds": 2592000,
}
"""In production; a code has its own limit by RFC 6749."""
DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg")
MODES = ("production", "development", "demo", "test")


class SettingsError(ValueError):
    """The environment holds settings the portal must not start on; the message names each of them."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings with their defaults. `PORTAL_MODE=production` is the default and refuses insecure values."""

    mode: str = "production"
    """PORTAL_MODE: production, development, demo or test."""
    database_url: str = "sqlite:///instance/portal.sqlite3"
    """DATABASE_URL: a SQLAlchemy URL; PostgreSQL in production."""
    database_pool_size: int = 8
    """PORTAL_DATABASE_POOL_SIZE: connections each worker keeps for pages, and again for machine endpoints."""
    issuer: str = "http://127.0.0.1:5000"
    """PORTAL_ISSUER: the public origin, without a path or trailing slash."""
    secret_key: str = ""
    """PORTAL_SECRET_KEY: at least 32 characters; signs forms, derives the key that encrypts secrets at rest."""
    brand: str = "Class"
    """PORTAL_BRAND: the name shown on pages."""
    timezone: str = "Australia/Sydney"
    """PORTAL_TIMEZONE: for people whose own time zone is unknown."""
    mfa: str = "required"
    """PORTAL_MFA: required (nobody connects an application without a second factor) or optional."""
    mail_url: str = "file:instance/mail"
    """PORTAL_MAIL_URL: where mail will go, smtp://… or file:DIR; nothing is sent yet."""
    documents_url: str = "file:instance/documents"
    """PORTAL_DOCUMENTS_URL: where the contents of documents lie: file:DIR, or s3://BUCKET/PREFIX?endpoint_url=…&region=…
    (S3-compatible; credentials from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and their kin)."""
    documents_spool: str = "instance/spool"
    """PORTAL_DOCUMENTS_SPOOL: the folder in which uploads for an S3 store wait until they are whole."""
    scan_command: str = ""
    """PORTAL_SCAN_COMMAND: a virus scanner for uploads, given the path: ends with 0 when clean, 1 when not; empty scans nothing."""
    support_url: str = ""
    """PORTAL_SUPPORT_URL: where error pages send people for help; empty shows none."""
    trusted_proxies: int = 0
    """PORTAL_TRUSTED_PROXIES: how many reverse proxies in front set X-Forwarded-For, -Proto and -Host."""
    verify_key: str = ""
    """PORTAL_VERIFY_KEY: what a reverse proxy sends as X-Verify-Key when it asks /oauth/verify; empty lets anybody ask."""
    log_level: str = "INFO"
    """PORTAL_LOG_LEVEL: DEBUG, INFO, WARNING or ERROR."""

    access_token_seconds: int = 600
    """PORTAL_ACCESS_TOKEN_SECONDS: life of an access token with offline access."""
    online_access_token_seconds: int = 3600
    """PORTAL_ONLINE_ACCESS_TOKEN_SECONDS: life of an access token without offline access."""
    id_token_seconds: int = 600
    """PORTAL_ID_TOKEN_SECONDS: life of an ID token."""
    code_seconds: int = 60
    """PORTAL_CODE_SECONDS: life of an authorization code (RFC 6749 §4.1.2 allows at most 600)."""
    refresh_grace_seconds: int = 30
    """PORTAL_REFRESH_GRACE_SECONDS: how long a spent refresh token still returns its successor."""
    pushed_request_seconds: int = 90
    """PORTAL_PUSHED_REQUEST_SECONDS: life of a request_uri (RFC 9126 §2.2)."""
    interaction_seconds: int = 1800
    """PORTAL_INTERACTION_SECONDS: how long a parked authorization request waits for the person."""
    session_idle_seconds: int = 1800
    """PORTAL_SESSION_IDLE_SECONDS: a session nobody uses ends after this."""
    session_absolute_seconds: int = 43200
    """PORTAL_SESSION_ABSOLUTE_SECONDS: a session ends after this, used or not."""
    undo_seconds: int = 30
    """PORTAL_UNDO_SECONDS: how long a revocation can be undone."""
    api_calls_per_minute: int = 600
    """PORTAL_API_CALLS_PER_MINUTE: how many API calls each consent may make in a minute; 0 sets no limit."""
    scan_seconds: int = 60
    """PORTAL_SCAN_SECONDS: how long the scan of one upload may take before the upload is refused."""
    usage_seconds: int = 5
    """PORTAL_USAGE_SECONDS: how often a worker adds the uses it has counted to the database."""
    usage_kept_days: int = 400
    """PORTAL_USAGE_KEPT_DAYS: how many days back `flask tokens prune` leaves the counts of uses; 90 are shown."""
    signing_key_seconds: int = 7776000
    """PORTAL_SIGNING_KEY_SECONDS: age at which `flask check` asks for `flask keys rotate`."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read and check the settings. Raises SettingsError naming every variable that is wrong."""
        given: dict[str, object] = {}
        wrong: list[str] = []
        for field in fields(cls):
            variable = _variable(field.name)
            text = environ.get(variable)
            if text is None or text == "":
                continue
            if field.type == "int":
                if not text.isascii() or not text.isdigit():
                    wrong.append(f"{variable} must be a whole number, not {text!r}")
                    continue
                given[field.name] = int(text)
            else:
                given[field.name] = text
        settings = cls(**given)  # type: ignore[arg-type]
        if settings.mode == "demo" and not settings.secret_key:
            settings = replace(settings, secret_key=DEMO_SECRET_KEY)
        wrong += settings.mistakes()
        if wrong:
            raise SettingsError("; ".join(wrong))
        return settings

    @property
    def is_https(self) -> bool:
        return self.issuer.startswith("https://")

    @property
    def is_production(self) -> bool:
        return self.mode == "production"

    @property
    def host(self) -> str:
        """Host and port of the issuer, as a browser sends them."""
        return urlsplit(self.issuer).netloc

    def mistakes(self) -> list[str]:
        """Every setting the portal must not start on, as one sentence each; empty when all is well."""
        return [*self._malformed(), *(self.insecurities() if self.is_production else [])]

    def _malformed(self) -> list[str]:
        wrong = []
        if self.mode not in MODES:
            wrong.append(f"PORTAL_MODE must be one of {', '.join(MODES)}")
        issuer = _split(self.issuer)
        if not ORIGIN.fullmatch(self.issuer) or issuer is None or not issuer.hostname:
            wrong.append("PORTAL_ISSUER must be an origin such as https://portal.example, without a path or trailing slash")
        if self.mfa not in ("required", "optional"):
            wrong.append("PORTAL_MFA must be required or optional")
        if len(self.secret_key) < MINIMUM_SECRET_KEY_LENGTH:
            wrong.append(f"PORTAL_SECRET_KEY must have at least {MINIMUM_SECRET_KEY_LENGTH} characters")
        if self.verify_key and not VERIFY_KEY.fullmatch(self.verify_key):
            wrong.append(f"PORTAL_VERIFY_KEY must have at least {MINIMUM_SECRET_KEY_LENGTH} letters, digits and -._~")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            wrong.append(f"PORTAL_TIMEZONE {self.timezone!r} is not a known time zone")
        wrong += _documents_mistakes(self.documents_url)
        wrong += _scan_mistakes(self.scan_command)
        if self.log_level.upper() not in LOG_LEVELS:
            wrong.append(f"PORTAL_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}")
        if not self.brand.strip() or len(self.brand) > 60 or not self.brand.isprintable():
            wrong.append("PORTAL_BRAND must be a name of 1 to 60 printable characters")
        if self.support_url and not self.support_url.startswith(("https://", "http://", "mailto:")):
            wrong.append("PORTAL_SUPPORT_URL must begin with https://, http:// or mailto:")
        return wrong + self._unreachable() + self._numbers()

    def _unreachable(self) -> list[str]:
        """Addresses of other programs that cannot be read. They may hold a password, so they are never repeated."""
        wrong = []
        try:
            known = make_url(self.database_url).drivername in DRIVERS
        except (ArgumentError, ValueError):
            known = False
        if not known:
            wrong.append(
                "DATABASE_URL must be a SQLAlchemy URL of SQLite or PostgreSQL, such as postgresql://portal@db.example/portal"
            )
        mail = _split(self.mail_url)
        is_directory = mail is not None and mail.scheme == "file" and self.mail_url.removeprefix("file:") != ""
        if not is_directory and (mail is None or mail.scheme not in ("smtp", "smtps") or not mail.hostname):
            wrong.append("PORTAL_MAIL_URL must be smtp://…, smtps://… or file:DIR")
        return wrong

    def _numbers(self) -> list[str]:
        seconds = [field.name for field in fields(self) if field.name.endswith("_seconds")]
        wrong = [
            f"{_variable(name)} must be from 1 to {MAXIMUM_SECONDS}"
            for name in seconds
            if not 1 <= getattr(self, name) <= MAXIMUM_SECONDS
        ]
        if not 1 <= self.database_pool_size <= 1000:
            wrong.append("PORTAL_DATABASE_POOL_SIZE must be from 1 to 1000")
        if not 90 <= self.usage_kept_days <= 36500:
            wrong.append("PORTAL_USAGE_KEPT_DAYS must be from 90, which are shown, to 36500")
        if not 0 <= self.trusted_proxies <= 10:
            wrong.append("PORTAL_TRUSTED_PROXIES must be from 0 to 10")
        return wrong

    def insecurities(self) -> list[str]:
        """What is fit for a demo or for development, and not for production; one sentence each."""
        wrong = []
        if not self.is_https and not _is_loopback(urlsplit(self.issuer).hostname or ""):
            wrong.append("PORTAL_ISSUER must use https in production")
        if self.secret_key == DEMO_SECRET_KEY or len(set(self.secret_key)) < 8:
            wrong.append("PORTAL_SECRET_KEY must be long and random in production")
        if self.log_level.upper() == "DEBUG":
            wrong.append("PORTAL_LOG_LEVEL must not be DEBUG in production, since libraries log token values there")
        if self.code_seconds > 600:
            wrong.append("PORTAL_CODE_SECONDS must not exceed 600 (RFC 6749 §4.1.2)")
        wrong += [
            f"{_variable(name)} must not exceed {longest} in production, since what is stolen works that long"
            for name, longest in LONGEST_SECONDS.items()
            if getattr(self, name) > longest
        ]
        if (endpoint := _s3_endpoint(self.documents_url)).scheme == "http" and not _is_loopback(endpoint.hostname or ""):
            wrong.append("PORTAL_DOCUMENTS_URL must name an https endpoint_url in production")
        return wrong


def _split(url: str) -> SplitResult | None:
    """A URL in its parts; None when it, or its port, cannot be read."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _variable(name: str) -> str:
    return "DATABASE_URL" if name == "database_url" else f"PORTAL_{name.upper()}"


def _documents_mistakes(url: str) -> list[str]:
    if url.startswith("file:"):
        return [] if url.removeprefix("file:").strip() else ["PORTAL_DOCUMENTS_URL file:… must name a folder"]
    try:
        parts = urlsplit(url)
    except ValueError:
        return ["PORTAL_DOCUMENTS_URL must be file:DIR or s3://BUCKET/PREFIX"]
    if parts.scheme != "s3" or not parts.netloc:
        return ["PORTAL_DOCUMENTS_URL must be file:DIR or s3://BUCKET/PREFIX"]
    if "@" in parts.netloc or ":" in parts.netloc:
        return ["PORTAL_DOCUMENTS_URL must hold no credentials; they are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"]
    if unknown := sorted(parse_qs(parts.query).keys() - {"endpoint_url", "region"}):
        return [f"PORTAL_DOCUMENTS_URL knows endpoint_url and region, not {', '.join(unknown)}"]
    if _s3_endpoint(url).scheme not in ("", "http", "https"):
        return ["PORTAL_DOCUMENTS_URL must name its endpoint_url as http://… or https://…"]
    return []


def _scan_mistakes(command: str) -> list[str]:
    try:
        return [] if not command or shlex.split(command) else ["PORTAL_SCAN_COMMAND must be a command, or empty"]
    except ValueError:
        return ["PORTAL_SCAN_COMMAND has a quote that is not closed"]


def _s3_endpoint(url: str) -> SplitResult:
    return urlsplit(parse_qs(urlsplit(url).query).get("endpoint_url", [""])[0])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
