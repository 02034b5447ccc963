"""Indexes for the tests of the dedupe window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.storage.dedupe_index import KeyIndex

OpenIndex = Callable[[], KeyIndex]


@pytest.fixture
def open_index(tmp_path: Path) -> Iterator[OpenIndex]:
    """Open the same file several times, as successive processes do."""
    opened: list[KeyIndex] = []

    def open_it() -> KeyIndex:
        opened.append(KeyIndex(tmp_path / "dedupe.sqlite", window_s=3600, max_keys=1000))
        return opened[-1]

    yield open_it
    for index in opened:
        index.close()


@pytest.fixture
def side_index() -> Iterator[KeyIndex]:
    index = KeyIndex(None, window_s=3600, max_keys=1000)
    yield index
    index.close()
