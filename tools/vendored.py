"""The scripts of other projects that the console serves: read what the tree states about them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import orjson

from tools.markdown import ROOT

STATIC = ROOT / "bridge" / "console" / "static"


class Script(NamedTuple):
    """One script: its package at npm, the file with its licence, and its files with their SHA-256."""

    name: str
    version: str
    licence: str
    home: str
    package: str
    text: Path
    files: dict[Path, str]

    @property
    def purl(self) -> str:
        """Return its package URL."""
        return f"pkg:npm/{self.package}@{self.version}"


def scripts() -> list[Script]:
    """Return all scripts."""
    return [
        Script(
            row["name"],
            row["version"],
            row["licence"],
            row["home"],
            row["package"],
            STATIC / row["text"],
            {STATIC / name: file["sha256"] for name, file in row["files"].items()},
        )
        for row in orjson.loads((STATIC / "vendored.json").read_bytes())
    ]
