"""The promise has the same words in the README and on the page about guarantees."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def section(file: str, heading: str) -> list[str]:
    """Return the lines between a heading and the next one."""
    lines = (ROOT / file).read_text().splitlines()
    begins = lines.index(heading) + 1
    ends = next(number for number in range(begins, len(lines)) if lines[number].startswith("#"))
    return [line for line in lines[begins:ends] if line]


def test_the_readme_and_the_guarantees_page_make_the_same_promise() -> None:
    promise = section("docs/explanation/guarantees.md", "## The promise")
    assert len([line for line in promise if line.startswith("- **")]) == 6
    assert section("README.md", "## What it promises") == promise
