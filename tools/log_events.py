"""Render docs/reference/log-events.md from the constants of log events and from the calls that log them."""

from __future__ import annotations

from pathlib import Path

from tools.log_calls import LogEvent, read_events
from tools.markdown import REFERENCE, code, escape, generated_note, page, prose, table

PAGE = REFERENCE / "log-events.md"
SECTIONS = {
    "The process": (
        "bridge",
        "config",
        "readiness",
        "signal",
        "task",
        "log",
        "memory",
        "admin",
        "loop",
        "report",
        "watch",
        "tracing",
    ),
    "Several workers": ("worker", "workers", "supervisor"),
    "The broker and its topics": ("kafka", "coordinator", "topics", "topic", "client"),
    "Assignments and reading": ("source", "fetch", "batch", "records", "schema", "schemas", "registry"),
    "Cursors and commits": ("cursor", "cursors", "commit", "journal"),
    "Deliveries": ("delivery", "signature", "record", "event", "parking"),
    "Tokens and certificates": ("token", "certificates"),
    "The history": ("history",),
    "Replays": ("replay",),
    "Held lanes": ("lane", "hold", "holds"),
    "Switches": ("endpoint", "types", "control"),
    "The console": ("console",),
    "Files in state_dir": ("index", "state"),
}
"""Heading, and the first words of the events below it."""
RANK = ("error", "warning", "info", "debug")
_HEAD = """
    Hookferry writes one line per event: JSON with `log.format: json`, colored text on a terminal. Every line
    has `timestamp`, `level` and `event`; the tables list the other fields. The names are stable: search
    and alert by them. Lines about a failure have `cause` and `remedy`. No line contains a body, a secret or a
    complete URL.

    `delivery.attempted`, `record.rejected` and `event.parked` are written for every event. Any other line
    that can come once per record is written five times per minute at most; `more` is how many were left out
    before.
"""


def render() -> dict[Path, str]:
    """Return the page."""
    events = read_events()
    groups = {word: heading for heading, words in SECTIONS.items() for word in words}
    by_heading: dict[str, list[LogEvent]] = {heading: [] for heading in SECTIONS}
    for event in events.values():
        by_heading[groups[event.name.partition(".")[0]]].append(event)
    loud = [event for event in events.values() if "error" in event.levels]
    return {
        PAGE: page(
            "# Log events",
            generated_note("bridge/telemetry/events/"),
            prose(_HEAD),
            f"These events have level `error`: {', '.join(code(event.name) for event in loud)}.",
            *(part for heading, group in by_heading.items() for part in (f"## {heading}", _table(group))),
        )
    }


def _table(events: list[LogEvent]) -> str:
    return table(
        ("Event", "Level", "Meaning", "When to worry", "Fields"),
        (
            (
                code(event.name),
                ", ".join(sorted(event.levels, key=RANK.index)),
                *map(escape, split_advice(event.text)),
                ", ".join(map(code, event.fields)) or "none",
            )
            for event in events
        ),
    )


def split_advice(text: str) -> tuple[str, str]:
    """Split a constant's docstring into its meaning and its advice: the first paragraph, and the rest."""
    meaning, _, advice = text.partition("\n\n")
    advice = advice.removeprefix("Worry ")
    return meaning, advice[:1].upper() + advice[1:]
