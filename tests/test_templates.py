from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import meta

from portal import Portal, create_app
from portal.config import Settings
from tests.conftest import SECRET_KEY
from tests.support.server import ROOT

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
NAMES = [str(file.relative_to(ROOT / "templates")) for file in TEMPLATES]
ELSEWHERE = {"oauth/form_post.html"}
"""Posts to the partner's own address, where our token must not go."""
COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)


@pytest.fixture(scope="module")
def portal() -> Portal:
    return create_app(Settings(mode="test", secret_key=SECRET_KEY, database_url="sqlite://"))


@pytest.mark.parametrize("name", NAMES)
def test_a_template_compiles_and_so_does_what_it_includes(portal: Portal, name: str) -> None:
    portal.jinja_env.get_template(name)
    assert portal.jinja_env.loader is not None
    source = portal.jinja_env.loader.get_source(portal.jinja_env, name)[0]
    for other in meta.find_referenced_templates(portal.jinja_env.parse(source)):
        assert other is None or other in NAMES, f"{name} wants {other}"


@pytest.mark.parametrize("file", TEMPLATES, ids=NAMES)
def test_a_template_says_first_what_it_is(file: Path) -> None:
    assert file.read_text().startswith("{#")


@pytest.mark.parametrize("file", TEMPLATES, ids=NAMES)
def test_a_template_has_nothing_that_the_security_policy_forbids(file: Path) -> None:
    text = COMMENT.sub("", file.read_text())
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:|\shx-on|\shx-vals=[\"']js", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)


@pytest.mark.parametrize("file", TEMPLATES, ids=NAMES)
def test_a_template_trusts_no_text(file: Path) -> None:
    text = COMMENT.sub("", file.read_text())
    assert "|safe" not in text.replace(" ", "") and "autoescapefalse" not in text.replace(" ", "")


@pytest.mark.parametrize("file", TEMPLATES, ids=NAMES)
def test_a_form_that_changes_something_here_carries_the_csrf_token(file: Path) -> None:
    here = str(file.relative_to(ROOT / "templates")) not in ELSEWHERE
    text = COMMENT.sub("", file.read_text())
    for form in re.findall(r"<form.*?</form>", text, re.DOTALL | re.IGNORECASE):
        if re.match(r"<form[^>]*method=[\"']post", form, re.IGNORECASE):
            assert ("csrf_token" in form or "csrf()" in form) is here, form[:200]
