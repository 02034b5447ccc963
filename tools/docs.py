"""Write every generated file of the repository, or check that each is current.

``python -m tools.docs`` writes the files; ``--check`` writes nothing, names each stale file and fails.
Each generator is a module with a ``render`` function that returns the files and their texts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tools import (
    architecture,
    chart_secrets,
    cli_reference,
    config_schema,
    exit_codes,
    gallery,
    licences,
    log_events,
    metrics,
    openapi,
    topics,
)
from tools.markdown import ROOT

GENERATORS: tuple[Callable[[], dict[Path, str]], ...] = (
    config_schema.render,
    metrics.render,
    log_events.render,
    cli_reference.render,
    exit_codes.render,
    topics.render,
    gallery.render,
    architecture.render,
    chart_secrets.render,
    licences.render,
    openapi.render,
)


def render_all() -> dict[Path, str]:
    """Return the text of every generated file."""
    return {path: text for render in GENERATORS for path, text in render().items()}


def write(files: dict[Path, str]) -> None:
    """Write the files, and the folders they need."""
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def stale(files: dict[Path, str]) -> list[Path]:
    """Return the files that are missing, or that differ from what their generator returns."""
    return [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]


def main(arguments: list[str]) -> int:
    """Write the files, or check them with ``--check``; return the exit code."""
    files = render_all()
    if "--check" not in arguments:
        write(files)
        return 0
    outdated = stale(files)
    for path in outdated:
        sys.stderr.write(f"{path.relative_to(ROOT)}: out of date; run `make docs` and commit the result\n")
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
