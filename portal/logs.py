"""Structured logs: one JSON object a line, with the request's reference number and never a secret."""

from __future__ import annotations

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from portal.config import Settings
from portal.crypto import PREFIXES

log = structlog.get_logger()

SECRET_NAMES = frozenset(
    "password code totp secret client_secret token access_token refresh_token id_token assertion client_assertion "
    "authorization cookie code_verifier csrf_token recovery_code".split()
)
TOKEN_SHAPE = re.compile(rf"(?:{'|'.join(PREFIXES)})[A-Za-z0-9_-]{{8,}}|eyJ[A-Za-z0-9_-]{{10,}}\.[A-Za-z0-9_.-]*")


class Origin(NamedTuple):
    """Where a request comes from: the network address and the reference number of the request."""

    address: str | None = None
    request_id: str | None = None


origin: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039, frozen
"""Set by the web layer for each request, so that rules need not carry it."""


def add_reference(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put the reference number of the request on each line that is written during one."""
    if (reference := origin.get().request_id) is not None:
        event.setdefault("request_id", reference)
    return event


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank what is named like a secret, and what looks like one of our tokens or a JWT wherever it stands."""
    for name, value in event.items():
        if name in SECRET_NAMES:
            event[name] = "[secret]"
        elif isinstance(value, str) and ("cp" in value or "eyJ" in value):
            event[name] = TOKEN_SHAPE.sub("[secret]", value)
    return event


_encode = json.JSONEncoder(default=repr).encode
_quoted = json.encoder.encode_basestring_ascii


def _as_json(event: EventDict, **_options: Any) -> str:
    """By an encoder that is made once, since making one costs more than a line."""
    return _encode(event)


class RequestLog:
    """Writes the line that every request has in the log, of which only method and path come from outside.

    The same line through structlog costs as much as a tenth of a bare Flask route.
    """

    def __init__(self) -> None:
        self._is_on = self._is_pretty = True

    def set_up(self, level: int, *, pretty: bool) -> None:
        self._is_on, self._is_pretty = level <= logging.INFO, pretty

    def tell(self, *, request_id: str, method: str, path: str, status: int, ms: float) -> None:
        if self._is_pretty:
            log.info("request", request_id=request_id, method=method, path=path, status=status, ms=ms)
        elif self._is_on:
            shown = TOKEN_SHAPE.sub("[secret]", path)
            sys.stderr.write(
                f'{{"request_id": "{request_id}", "method": {_quoted(method)}, "path": {_quoted(shown)}, "status": {status}, '
                f'"ms": {ms}, "event": "request", "level": "info", "timestamp": "{datetime.now(UTC).isoformat()}"}}\n'
            )


request_log = RequestLog()


def init_logs(settings: Settings) -> None:
    """Send structlog and the standard library's logs through the same processors to standard error."""
    shared: list[Processor] = [
        add_reference,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    pretty = settings.mode in ("development", "demo") and sys.stderr.isatty()
    render: Any = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(serializer=_as_json)
    level = getattr(logging, settings.log_level.upper(), logging.INFO)
    request_log.set_up(level, pretty=pretty)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=render, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=max(level, logging.INFO), force=settings.mode != "test")
    for noisy in ("authlib", "werkzeug", "alembic"):  # Authlib writes token values at DEBUG
        logging.getLogger(noisy).setLevel(logging.WARNING)
