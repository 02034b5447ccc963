"""Render docs/reference/exit-codes.md from bridge/app/exit_codes.py."""

from __future__ import annotations

from pathlib import Path

from bridge.app.exit_codes import ExitCode
from tools.markdown import REFERENCE, code, escape, generated_note, page, prose, table

PAGE = REFERENCE / "exit-codes.md"
_HEAD = """
    These are the exit codes of every `hookferry` command. The message on standard error, or the last lines of
    the log, contain the cause. Codes above 128 that are not listed come from a signal: 137 is SIGKILL.
"""


def render() -> dict[Path, str]:
    """Return the page."""
    rows = ((code(str(number.value)), escape(number.meaning), escape(number.remedy)) for number in ExitCode)
    return {
        PAGE: page(
            "# Exit codes",
            generated_note("bridge/app/exit_codes.py"),
            prose(_HEAD),
            table(("Code", "Meaning", "What to do"), rows),
            "How a stop works: [stop Hookferry](../how-to/stopping.md).",
        )
    }
