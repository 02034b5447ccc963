"""Tests share code through ``tests/support``."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parents[2]


def imported_modules(file: Path) -> set[str]:
    return {
        node.module
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }


def test_no_test_imports_from_another_test_module() -> None:
    imports = {
        f"{file.relative_to(TESTS)} imports {module}"
        for file in TESTS.rglob("*.py")
        for module in imported_modules(file)
        if module.startswith("tests.") and module.rpartition(".")[2].startswith("test_")
    }
    assert imports == set(), "move what both need to tests/support"


def test_no_test_file_has_more_than_four_hundred_lines() -> None:
    """A longer file covers several subjects."""
    table = TESTS / "unit/wiring/test_every_setting_reaches_its_part.py"  # one row per setting
    lengths = {file: file.read_text("utf-8").count("\n") for file in TESTS.rglob("*.py") if file != table}
    assert {str(file.relative_to(TESTS)) for file, length in lengths.items() if length > 400} == set()
