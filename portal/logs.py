"""Structured logs: one JSON object a line, with the request's reference number and never a secret."""

from __future__ import annotations

import json
import logging
import re
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from portal.config import Settings
from portal.crypto import PREFIXES

SECRET_NAMES = frozenset(
    "password code totp secret client_secret token access_token refresh_token id_token assertion client_assertion "
    "authorization cookie code_verifier csrf_token recovery_code".split()
)
TOKEN_SHAPE = re.compile(rf"(?:{'|'.join(PREFIXES)})[A-Za-z0-9_-]{{8,}}|eyJ[A-Za-z0-9_-]{{10,}}\.[A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Origin:
    """Where a request comes from: the network address and the reference number of the request."""

    address: str | None = None
    request_id: str | None = None


origin: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039, frozen
"""Set by the web layer for each request, so that rules need not carry it."""


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank what is named like a secret, and what looks like one of our tokens or a JWT wherever it stands."""
    for name, value in event.items():
        if name in SECRET_NAMES:
            event[name] = "[secret]"
        elif isinstance(value, str) and ("cp" in value or "eyJ" in value):
            event[name] = TOKEN_SHAPE.sub("[secret]", value)
    return event


_encode = json.JSONEncoder(default=repr).encode


def _as_json(event: EventDict, **_options: Any) -> str:
    """By an encoder that is made once, since making one costs more than a line."""
    return _encode(event)


def init_logs(settings: Settings) -> None:
    """Send structlog and the standard library's logs through the same processors to standard error."""
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    pretty = settings.mode in ("development", "demo") and sys.stderr.isatty()
    render: Any = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(serializer=_as_json)
    level = getattr(logging, settings.log_level.upper(), logging.INFO)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=settings.mode != "test",
    )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=render, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=max(level, logging.INFO), force=settings.mode != "test")
    for noisy in ("authlib", "werkzeug", "alembic"):  # Authlib writes token values at DEBUG
        logging.getLogger(noisy).setLevel(logging.WARNING)
