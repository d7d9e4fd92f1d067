from __future__ import annotations

import re
from dataclasses import fields

import pytest

from portal.config import Settings
from portal.oauth import tokens
from tests.support.server import ROOT

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("docs/*.md")),
    ROOT / "examples" / "partner" / "README.md",
]
VARIABLES = ["DATABASE_URL" if field.name == "database_url" else f"PORTAL_{field.name.upper()}" for field in fields(Settings)]


@pytest.mark.parametrize("variable", VARIABLES)
def test_each_setting_is_told_to_operators(variable: str) -> None:
    assert f"| `{variable}` |" in (ROOT / "docs" / "operating.md").read_text()


@pytest.mark.parametrize("word", tokens.DEAD_REASONS)
def test_each_reason_of_a_refusal_is_told_to_partners(word: str) -> None:
    for document in ("docs/partners.md", "examples/partner/README.md"):
        assert f"| `{word}` |" in (ROOT / document).read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_of_a_document_leads_nowhere(document: object) -> None:
    path = ROOT / str(document)
    targets = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    missing = [target for target in targets if "://" not in target and not (path.parent / target).exists()]
    assert missing == []
