"""Fixtures: ``given`` writes a variant of a valid settings file and checks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bridge.settings import check
from tests.support.settings_example import VALID

Given = Callable[..., list[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "avro").mkdir()
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = folder / "bridge.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def given(write: Callable[[str], Path], folder: Path) -> Given:
    """Return the mistakes of ``VALID`` after replacing each ``old`` by ``new``, without the folder's name."""

    def given(*swaps: str, env: Mapping[str, str] | None = None, text: str = VALID) -> list[str]:
        for old, new in zip(swaps[::2], swaps[1::2], strict=True):
            assert old in text, old
            text = text.replace(old, new, 1)
        return [line.replace(f"{folder}/", "") for line in check(write(text), env or {})]

    return given
