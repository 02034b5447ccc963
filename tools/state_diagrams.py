"""Draw the state diagrams of docs/explanation/architecture.md: cursor, endpoint, breaker and held lane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bridge.core.cursor import CursorState
from bridge.core.limits.breaker import BreakerState
from tools.svg import Drawing, Point

_SIZE = (190, 62)
_GOOD, _SOME, _BAD = "#e3f5e6", "#fdf3d7", "#fbe3e1"


class State(NamedTuple):
    """A state: its name, one line about it, its upper left corner and its color."""

    name: str
    text: str
    at: Point
    color: str


class Change(NamedTuple):
    """A change of state: the points of its arrow, and the lines of its label from the first baseline on."""

    points: Sequence[Point]
    lines: tuple[str, ...]
    label_at: Point
    anchor: str = "middle"


def drawings() -> dict[str, Drawing]:
    """Return the diagrams by the names of their files."""
    return {"cursor-states": _cursor(), "endpoint-states": _endpoint(), "held-lane-states": _held_lane()}


def _draw(drawing: Drawing, states: Sequence[State], changes: Sequence[Change]) -> None:
    for change in changes:
        drawing.arrow(change.points)
        for number, line in enumerate(change.lines):
            drawing.text(
                (change.label_at[0], change.label_at[1] + 15 * number), line, 11.5, anchor=change.anchor
            )
    for state in states:
        x, y = state.at
        drawing.box(state.at, _SIZE, fill=state.color)
        drawing.text((x + _SIZE[0] / 2, y + 27), state.name, 14, bold=True, fits=_SIZE[0] - 8)
        drawing.text((x + _SIZE[0] / 2, y + 47), state.text, 11.5, fits=_SIZE[0] - 8)


def _words(states: type[CursorState] | type[BreakerState]) -> Iterator[str]:
    return (state.value.replace("_", " ") for state in states)


def _cursor() -> Drawing:
    attached, full, catching_up = _words(CursorState)
    drawing = Drawing("States of a cursor", 880, 320)
    states = (
        State(attached, "fed by the main reader", (50, 60), _GOOD),
        State(full, "takes no events", (580, 60), _BAD),
        State(catching_up, "fed by its own reader", (315, 230), _SOME),
    )
    changes = (
        Change([(240, 78), (578, 78)], ("window, bytes, memory share or map are full",), (410, 70)),
        Change([(580, 104), (242, 104)], ("room again, and the reader has passed nothing",), (411, 122)),
        Change(
            [(690, 122), (690, 278), (507, 278)],
            ("room again, but", "records were passed by"),
            (702, 196),
            "start",
        ),
        Change([(505, 250), (660, 250), (660, 124)], ("full again",), (650, 196), "end"),
        Change([(315, 262), (145, 262), (145, 124)], ("it meets the", "main reader"), (135, 196), "end"),
    )
    _draw(drawing, states, changes)
    return drawing


def _endpoint() -> Drawing:
    closed, opened, half_open = (state.value for state in BreakerState)
    drawing = Drawing("States of an endpoint: its switch, its breaker, its rate", 1000, 510)
    for y, heading in ((40, "Switch"), (190, "Breaker"), (390, "Limits")):
        drawing.text((30, y), heading, 15, anchor="start", bold=True)
    left, middle, right = 30, 405, 780
    states = (
        State("on", "requests are sent", (left, 60), _GOOD),
        State("off", "events wait in Kafka", (right, 60), _BAD),
        State(closed, "requests are sent", (left, 230), _GOOD),
        State(opened, "no requests", (middle, 230), _BAD),
        State(half_open, "1, 2, 4 … in flight", (right, 230), _SOME),
        State("unlimited", "only the set limits apply", (left, 415), _GOOD),
        State("slowed", "a limit found by trying", (right, 415), _SOME),
    )
    changes = (
        Change(
            [(220, 78), (778, 78)],
            ("a 410, too many dead letters, a lost offset, or an operator",),
            (500, 70),
        ),
        Change([(780, 106), (222, 106)], ("an operator",), (500, 123)),
        Change([(220, 261), (403, 261)], ("too many failures", "in the window", "or in a row"), (311, 221)),
        Change([(595, 246), (778, 246)], ("the wait is over:", "one probe"), (686, 221)),
        Change([(780, 278), (597, 278)], ("too many of a step", "fail: wait again"), (688, 296)),
        Change([(875, 292), (875, 330), (125, 330), (125, 294)], ("every step succeeded",), (500, 346)),
        Change([(220, 433), (778, 433)], ("more than 5 % of the answers: 429, 502, 503 or 504",), (500, 425)),
        Change(
            [(780, 461), (222, 461)],
            ("each window without overload raises it, up to the old limit",),
            (500, 478),
        ),
    )
    _draw(drawing, states, changes)
    return drawing


def _held_lane() -> Drawing:
    drawing = Drawing("States of a lane with on_park: hold", 1010, 340)
    states = (
        State("free", "events are sent", (40, 70), _GOOD),
        State("held", "events are parked, unsent", (680, 70), _BAD),
        State("held, redriving", "events of the round pass", (360, 240), _SOME),
    )
    changes = (
        Change([(230, 88), (678, 88)], ("an event of the lane is parked",), (454, 80)),
        Change([(680, 116), (232, 116)], ("on_park is no longer hold",), (454, 133)),
        Change([(775, 70), (775, 40), (835, 40), (835, 68)], ("one more event waits",), (848, 44), "start"),
        Change(
            [(800, 132), (800, 285), (552, 285)],
            ("hookferry parked redrive", "sends what waits, then a mark"),
            (810, 210),
            "start",
        ),
        Change(
            [(550, 256), (740, 256), (740, 134)],
            ("an event is parked", "again: new round"),
            (730, 190),
            "end",
        ),
        Change(
            [(360, 271), (135, 271), (135, 134)],
            ("the mark arrives, and nothing", "was parked since"),
            (145, 200),
            "start",
        ),
    )
    _draw(drawing, states, changes)
    return drawing
