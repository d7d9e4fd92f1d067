"""Is it up? `/healthz` says the process is; `/readyz` says its database and signing keys are."""

from __future__ import annotations

from flask import Flask, Response, jsonify
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from portal import db
from portal.db import table_of
from portal.oauth.models import SigningKey


def init_app(app: Flask) -> None:
    app.add_url_rule("/healthz", "healthz", healthz)
    app.add_url_rule("/readyz", "readyz", readyz)


def healthz() -> Response:
    return jsonify(status="ok")


def readyz() -> tuple[Response, int]:
    """200 when the database answers and holds a signing key; 503 with what is missing."""
    try:
        with db.reader() as connection:
            has_key = connection.execute(select(table_of(SigningKey).c.kid).limit(1)).first() is not None
    except SQLAlchemyError:
        return jsonify(status="unavailable", missing="database"), 503
    if not has_key:
        return jsonify(status="unavailable", missing="signing key"), 503
    return jsonify(status="ok"), 200
