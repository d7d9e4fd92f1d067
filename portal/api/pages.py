"""The description of the API for people: one page about all of it, and one for each kind of problem."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from portal.api import curl, examples, limits, openapi, outline, problems
from portal.api.guard import WHAT_TO_DO
from portal.api.operations import parameters_of, path_of
from portal.api.problems import PROBLEMS
from portal.api.registry import TABLE, Endpoint
from portal.api.schemas import SCHEMAS
from portal.config import Settings
from portal.consents import catalogue
from portal.errors import NotFound, problem_type

bp = Blueprint("developers", __name__)
SUBJECTS = ("Funds", "Members", "Documents", "Business")
"""In the order in which people read of them."""

BETWEEN_BACKTICKS = re.compile(r"`([^`]+)`")


def _settings() -> Settings:
    return cast(Settings, current_app.settings)  # type: ignore[attr-defined]


@bp.app_template_filter("code_words")
def code_words(text: str) -> Markup:
    """A sentence in which words between backticks are code."""
    return Markup(BETWEEN_BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704, escaped just now


@bp.get("/developers")
def overview() -> ResponseReturnValue:
    """How a partner's developer begins, what a token opens, every call with examples, and every kind of problem."""
    settings = _settings()
    return render_template(
        "api/developers.html",
        issuer=settings.issuer,
        address=settings.issuer + openapi.PREFIX,
        subjects=[(subject, [_call(line) for line in TABLE if line.subject == subject]) for subject in SUBJECTS],
        scopes=[_scope(name) for name in catalogue.CATALOGUE],
        schemas=[(name, outline.rows_of(name)) for name in SCHEMAS if name != "Problem"],
        problems=problems.TABLE,
        problem_example=_json(PROBLEMS["insufficient-scope"].example(settings.issuer)),
        reasons=WHAT_TO_DO,
        quota=settings.api_calls_per_minute,
        steps=limits.STEPS,
        token_seconds=settings.access_token_seconds,
        token_line=curl.token_line(f"{settings.issuer}/oauth/token"),
        refresh_line=curl.refresh_line(f"{settings.issuer}/oauth/token"),
    )


@bp.get("/developers/problems/<kind>")
def problem(kind: str) -> ResponseReturnValue:
    """What one kind of problem means, and what to do about it."""
    if kind not in PROBLEMS:
        raise NotFound(detail="unknown kind of problem")
    issuer = _settings().issuer
    return render_template(
        "api/problem.html",
        problem=PROBLEMS[kind],
        type=problem_type(issuer, kind),
        example=_json(PROBLEMS[kind].example(issuer)),
        calls=[(line.name, line.method, path_of(line)) for line in problems.calls_of(kind, TABLE)],
        is_of_all=PROBLEMS[kind].error in problems.ALWAYS,
        reasons=WHAT_TO_DO if kind == "invalid-token" else {},
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _scope(name: str) -> dict[str, Any]:
    scope = catalogue.CATALOGUE[name]
    return {
        "name": name,
        "title": catalogue.title(name, brand=_settings().brand),
        "contains": scope.contains,
        "calls": [(line.name, f"{line.method} {path_of(line)}") for line in TABLE if name in line.scopes],
    }


def _call(line: Endpoint) -> dict[str, Any]:
    """One call as its part of the page needs it."""
    return {
        "name": line.name,
        "method": line.method,
        "path": path_of(line),
        "summary": line.summary,
        "scopes": line.scopes,
        "parameters": [
            {
                "name": parameter["name"],
                "place": parameter["in"],
                "words": outline.words_of(parameter["schema"]),
                "is_required": parameter.get("required", False),
                "description": parameter.get("description", ""),
            }
            for parameter in parameters_of(line)
        ],
        "body": line.body.schema if line.body else "",
        "media_types": line.body.media_types if line.body else (),
        "curl": curl.line_of(line, _settings().issuer + openapi.PREFIX),
        "status": line.status,
        "answer": line.answer or "",
        "example": _json(examples.of_schema(line.answer)) if line.answer else "",
        "problems": problems.of_call(line),
    }
