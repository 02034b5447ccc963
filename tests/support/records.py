"""Records for decoder tests, and the folder of Fineract's own schema files and samples."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bridge.model import Header, Partition, Record

LIMIT = 1_048_576


def record(
    value: bytes | None,
    *,
    key: bytes | None = b"k",
    headers: tuple[Header, ...] = (),
    timestamp_ms: int = 1_700_000_000_123,
) -> Record:
    return Record(Partition("topic", 3), 17, timestamp_ms, key, value, headers)


def shared_fineract() -> Path:
    """Return the folder of Fineract's files, outside of the repository; skip the test without it."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("HOOKFERRY_SHARED", root.parent / "shared")) / "fineract"
    if not (folder / "fingerprints.json").is_file():
        pytest.skip(f"no Fineract files in {folder} (set HOOKFERRY_SHARED)")
    return folder


def shared_json(name: str) -> Any:
    return json.loads((shared_fineract() / name).read_text("utf-8"))
