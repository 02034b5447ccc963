"""Draw the pictures of docs/explanation/architecture.md: the floors with their packages, the state diagrams.

The floors are those of .importlinter, the path of an event is the table at the head of
bridge/pipeline/pipeline.py. A package without a duty here, or a step without a place, is an error.
"""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import NamedTuple

from tools import state_diagrams
from tools.markdown import EXPLANATION, ROOT
from tools.svg import LINE, Drawing

PATH_TABLE = ROOT / "bridge" / "pipeline" / "pipeline.py"
DUTIES = {
    "__main__": ("python -m bridge", ""),
    "cli": ("the commands", "and the lag report"),
    "preflight": ("what check tries:", "templates, filters, files"),
    "workers": ("several processes", "under a supervisor"),
    "app": ("start, stop, signals,", "status, admin port"),
    "console": ("API and pages over", "what the topics have"),
    "resend": ("stored attempts,", "sent again"),
    "wiring": ("settings become", "parts"),
    "pipeline": ("the path of an event,", "from record to commit"),
    "demo": ("broker, receivers and", "bridge in one terminal"),
    "settings": ("models, reading,", "rules"),
    "schemas": ("folder, registries,", "import"),
    "dead_letters": ("parked events,", "held lanes, redrives"),
    "history": ("every attempt,", "written and found"),
    "receivers": ("Slack, Teams,", "PagerDuty …"),
    "formats": ("bytes become", "events"),
    "kafka": ("reader, producer,", "offsets, control"),
    "storage": ("journal, state,", "dedupe index"),
    "rendering": ("an event becomes", "a request"),
    "http": ("connections, TLS,", "egress policy"),
    "core": ("the rules: pure", "and synchronous"),
    "telemetry": ("log events,", "metrics, tasks"),
    "errors": ("all exceptions", ""),
    "model": ("record, event,", "request, verdict"),
    "clock": ("time", ""),
    "verifier": ("verify requests,", "for receivers"),
    "reasons": ("why parked, why slow", ""),
}
"""Two lines for each package."""
_STEP = re.compile(r"^ {4}(\w[\w? ]*?) (\d+) {2,}([\w/.]+)", re.MULTILINE)

_LEFT, _TOP, _PANEL = 52, 64, 648
_FLOOR_HEIGHT, _FLOOR_GAP, _BOX_GAP = 64, 10, 10
_PATH_LEFT, _PATH_WIDTH = 790, 270
_STEP_HEIGHT, _STEP_GAP = 40, 16
_PURE, _EDGE, _PLAIN, _OUTSIDE = "#e3f5e6", "#fdebd7", "#e7effa", "#f1f3f5"
_COLORS = {
    "core": _PURE,
    "formats": _PURE,
    "rendering": _PURE,
    "receivers": _PURE,
    "kafka": _EDGE,
    "http": _EDGE,
}
_COLORS |= {"storage": _EDGE}


class Step(NamedTuple):
    """A step of the path: its number, its name, and the file or folder that does it."""

    number: int
    name: str
    place: str

    @property
    def package(self) -> str:
        """The package of the place; a file without a folder is next to the table, in pipeline."""
        folder, slash, _ = self.place.partition("/")
        return folder if slash else "pipeline"


def render() -> dict[Path, str]:
    """Return the pictures."""
    pictures = {"architecture": architecture(), **state_diagrams.drawings()}
    return {EXPLANATION / f"{name}.svg": drawing.svg() for name, drawing in pictures.items()}


def floors() -> list[list[str]]:
    """Read the floors from .importlinter, the highest first."""
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter", "utf-8")
    layers = rules["importlinter:contract:floors"]["layers"].split("\n")
    return [re.findall(r"\w+", layer) for layer in layers if layer.strip()]


def steps() -> list[Step]:
    """Read the path from its table. Raises ``LookupError`` if the numbers are not 1, 2, 3 and so on."""
    found = _STEP.findall(PATH_TABLE.read_text("utf-8"))
    path = [Step(int(number), name, place) for name, number, place in found]
    if not path or [step.number for step in path] != list(range(1, len(path) + 1)):
        raise LookupError(
            f"{PATH_TABLE.relative_to(ROOT)}: no table of steps with the numbers 1, 2, 3 …: {path}"
        )
    return path


def architecture() -> Drawing:
    """Draw the floors on the left, the path of an event on the right."""
    path = steps()
    height = _TOP + max(
        len(floors()) * (_FLOOR_HEIGHT + _FLOOR_GAP), (len(path) + 2) * (_STEP_HEIGHT + _STEP_GAP)
    )
    drawing = Drawing("Packages on their floors, and the path of an event", 1240, height + 56)
    _draw_floors(drawing, path)
    _draw_path(drawing, path)
    _draw_legend(drawing, height + 22)
    return drawing


def _draw_floors(drawing: Drawing, path: list[Step]) -> None:
    drawing.text((_LEFT, 28), "The floors", 17, anchor="start", bold=True)
    drawing.text((_LEFT, 48), "a package imports only from floors below its own", 12, anchor="start")
    for level, packages in enumerate(floors()):
        y = _TOP + level * (_FLOOR_HEIGHT + _FLOOR_GAP)
        drawing.text((32, y + _FLOOR_HEIGHT / 2 + 5), str(len(floors()) - level), 14, color=LINE)
        width = (_PANEL - _BOX_GAP * (len(packages) - 1)) / len(packages)
        for number, package in enumerate(packages):
            here = [step.number for step in path if step.package == package]
            _draw_package(drawing, (_LEFT + number * (width + _BOX_GAP), y), width, package, here)


def _draw_package(
    drawing: Drawing, at: tuple[float, float], width: float, package: str, here: list[int]
) -> None:
    x, y = at
    first, second = DUTIES[package]
    if width > 250:  # one line has room
        first, second = f"{first} {second}".strip(), ""
    lower = 0 if second else 7
    drawing.box(at, (width, _FLOOR_HEIGHT), fill=_COLORS.get(package, _PLAIN))
    for place, number in enumerate(reversed(here)):
        drawing.badge((x + width - 13 - 22 * place, y + 13), number)
    drawing.text(
        (x + 12, y + lower + 21), package, 14, anchor="start", bold=True, fits=width - 12 - 22 * len(here)
    )
    drawing.text((x + 12, y + lower + 40), first, 11.5, anchor="start", fits=width - 14)
    drawing.text((x + 12, y + 55), second, 11.5, anchor="start", fits=width - 14)


def _draw_path(drawing: Drawing, path: list[Step]) -> None:
    middle, right = _PATH_LEFT + _PATH_WIDTH / 2, _PATH_LEFT + _PATH_WIDTH
    drawing.text((_PATH_LEFT, 28), "The path of an event", 17, anchor="start", bold=True)
    drawing.text(
        (_PATH_LEFT, 48), "a number in a box on the left: the step is done there", 12, anchor="start"
    )
    tops = {number: _TOP + number * (_STEP_HEIGHT + _STEP_GAP) for number in range(len(path) + 2)}
    ends = {0: "Kafka: the source topics", len(path) + 1: "Kafka: committed offset and map"}
    for number, text in ends.items():
        drawing.box((_PATH_LEFT, tops[number]), (_PATH_WIDTH, _STEP_HEIGHT), fill=_OUTSIDE, dashed=True)
        drawing.text((middle, tops[number] + 25), text, 12, fits=_PATH_WIDTH - 10)
    for step in path:
        y = tops[step.number]
        drawing.box((_PATH_LEFT, y), (_PATH_WIDTH, _STEP_HEIGHT), fill=_COLORS.get(step.package, _PLAIN))
        drawing.badge((_PATH_LEFT + 18, y + 20), step.number)
        drawing.text((_PATH_LEFT + 36, y + 25), step.name, 13.5, anchor="start", bold=True, fits=104)
        drawing.text((right - 10, y + 25), step.place, 11.5, anchor="end", fits=150)
    for number in range(len(path) + 1):
        drawing.arrow([(middle, tops[number] + _STEP_HEIGHT), (middle, tops[number + 1] - 1)])
    _draw_branches(drawing, {step.number: tops[step.number] + _STEP_HEIGHT / 2 for step in path}, right)


def _draw_branches(drawing: Drawing, row: dict[int, float], right: float) -> None:
    """Draw the ends and detours of the path, by the numbers of the steps where they begin."""
    for number, text in (
        (2, "undecodable: parked"),
        (3, "duplicate: skipped"),
        (4, "not selected: skipped"),
        (9, "a request over HTTP"),
        (10, "refused: parked"),
    ):
        y = row[number]
        drawing.arrow([(right, y), (right + 26, y)])
        drawing.text((right + 32, y + 4), text, 12, anchor="start", fits=158)
    x = _PATH_LEFT - 30
    drawing.arrow(
        [
            (_PATH_LEFT, row[10]),
            (x, row[10]),
            (x, row[6]),
            (_PATH_LEFT - 1, row[6]),
        ],
        dashed=True,
    )
    drawing.text((x - 8, (row[10] + row[6]) / 2), "again,", 12, anchor="end")
    drawing.text((x - 8, (row[10] + row[6]) / 2 + 15), "later", 12, anchor="end")


def _draw_legend(drawing: Drawing, y: float) -> None:
    x = float(_LEFT)
    for color, text in (
        (_PURE, "pure: no I/O, no clock"),
        (_EDGE, "an edge: Kafka, HTTP, disk"),
        (_PLAIN, "everything else"),
    ):
        drawing.box((x, y - 12), (22, 16), fill=color)
        drawing.text((x + 30, y + 1), text, 12, anchor="start")
        x += 215
