"""Which routes open a page for people, so that what holds for every page is held to each new one too."""

from __future__ import annotations

from werkzeug.routing import Rule

from portal import Portal

MACHINES = ("/api/", "/oauth/", "/.well-known/", "/static/", "/healthz", "/readyz")
PAGES_AMONG_THEM = ("/oauth/authorize", "/oauth/logout")
HOME = "/"
"""Leads on to a page."""


def pages_of(app: Portal) -> dict[str, Rule]:
    """Each page's rule by its endpoint."""
    return {
        rule.endpoint: rule
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ())
        and rule.rule != HOME
        and (rule.rule in PAGES_AMONG_THEM or not rule.rule.startswith(MACHINES))
    }
