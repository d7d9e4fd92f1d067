from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from portal import create_app
from portal.commands import Later
from portal.config import Settings
from portal.oauth import tokens
from tests.conftest import SECRET_KEY
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


def test_each_command_is_told_to_operators(tmp_path: Path) -> None:
    settings = Settings(mode="test", secret_key=SECRET_KEY, database_url=f"sqlite:///{tmp_path / 'portal.sqlite3'}")
    told = (ROOT / "docs" / "operating.md").read_text().partition("\n## Commands\n")[2].partition("\n## ")[0]
    listed = {command.removesuffix("`") for command in re.findall(r"(?<=`)flask [a-z-]+(?: [a-z-]+|`)", told)}
    assert listed == set(names(create_app(settings).cli, "flask"))


def names(command: click.Command, so_far: str) -> Iterator[str]:
    command = command.load() if isinstance(command, Later) else command
    if not isinstance(command, click.Group):
        yield so_far
        return
    for name, part in command.commands.items():
        yield from names(part, f"{so_far} {name}")


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
