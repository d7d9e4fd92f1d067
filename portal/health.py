"""Is it up? `/healthz` says the process is; `/readyz` says that its database is and that it can sign."""

from __future__ import annotations

from flask import Flask, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from portal import db
from portal.crypto import DecryptionError
from portal.oauth.endpoints import server


def init_app(app: Flask) -> None:
    app.add_url_rule("/healthz", "healthz", healthz)
    app.add_url_rule("/readyz", "readyz", readyz)


def healthz() -> Response:
    return jsonify(status="ok")


def readyz() -> tuple[Response, int]:
    """200 when the database answers, and a key signs and opens for each algorithm in use; 503 with what is missing."""
    try:
        with db.reader() as connection:
            server().keys.check_ready(connection)
    except SQLAlchemyError:
        return jsonify(status="unavailable", missing="database"), 503
    except LookupError:
        return jsonify(status="unavailable", missing="signing key"), 503
    except DecryptionError:
        return jsonify(status="unavailable", missing="secret key of the signing keys"), 503
    return jsonify(status="ok"), 200
