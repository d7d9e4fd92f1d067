from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.server import ROOT

LINES, FUNCTION_LINES, CRUX_LINES = 350, 30, 60
FILES = sorted(file for file in (ROOT / "portal").rglob("*.py") if "versions" not in file.parts)
NAMES = [str(file.relative_to(ROOT)) for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_a_file_can_be_read_in_one_sitting(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= LINES


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_a_function_fits_a_screen_and_a_file_has_one_crux(file: Path) -> None:
    functions = [
        node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    long = {name: length for name, length in lengths.items() if length > FUNCTION_LINES}
    assert len(long) <= 1 and all(length <= CRUX_LINES for length in long.values()), long


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_a_file_says_what_it_is_for(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text())) or not file.read_text().strip()


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_a_file_is_named_by_its_subject(file: Path) -> None:
    assert file.stem not in {"utils", "util", "helpers", "common", "misc"}
