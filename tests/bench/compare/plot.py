"""The results as a picture: an SVG with bars, in the colors of the reader's theme, without a library.

Each row has its own scale, because a cell with ten entities cannot be compared with one of thousands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tests.bench.compare.judging import Figures
from tests.bench.compare.report import NAMES

WIDTH = 960
_LEFT, _BAR, _GAP, _COLUMN = 210, 12, 14, 375
_LABEL = 70  # room for the number at the end of a bar
_STYLE = """\
<style>
  :root { color-scheme: light dark }
  .paper { fill: #ffffff } .ink { fill: #1f2933 } .pale { fill: #52606d } .axis { stroke: #cbd2d9 }
  .bare { fill: #9aa5b1 } .go { fill: #2f7fb5 } .hookferry { fill: #d9662b } .base { fill: #2f7fb5 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #161b22 } .ink { fill: #e4e7eb } .pale { fill: #9aa5b1 } .axis { stroke: #3e4c59 }
    .bare { fill: #616e7c } .go { fill: #58a6d8 } .hookferry { fill: #f08a4b } .base { fill: #58a6d8 }
  }
</style>
"""
_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" \
font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif" role="img" aria-label="{title}">
<title>{title}</title>
{style}<rect class="paper" width="{width}" height="{height}" rx="10"/>
"""
_COLUMNS = {
    "backlog": (("events/s (more is better)", "per_s"), ("CPU µs per event (less is better)", "cpu_us")),
    "steady": (("p99, ms (less is better)", "p99_ms"), ("CPU µs per event (less is better)", "cpu_us")),
}
_TITLES = {"backlog": "Backlog", "steady": "Steady load"}


class _Picture:
    """Collects shapes from the top; ``y`` is where the next one begins."""

    def __init__(self) -> None:
        self.y = 58.0
        self.shapes: list[str] = []

    def text(
        self, x: float, y: float, text: str, kind: str = "ink", size: float = 12, anchor: str = "start"
    ) -> None:
        self.shapes.append(
            f'<text class="{kind}" x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}">'
            f"{escape(text, quote=False)}</text>"
        )

    def bar(self, x: float, y: float, width: float, kind: str) -> None:
        self.shapes.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{max(1, width):.1f}" height="{_BAR - 2}"/>'
        )

    def legend(self, contenders: Sequence[str]) -> None:
        x = float(_LEFT)
        for contender in contenders:
            self.bar(x, 22, 18, contender)
            self.text(x + 24, 31, NAMES[contender])
            x += 130
        self.text(WIDTH - 16, 31, "each row has its own scale", "pale", 11, "end")

    def section(self, kind: str, rows: Sequence[Mapping[str, Any]], contenders: Sequence[str]) -> None:
        self.text(16, self.y, _TITLES[kind], size=14)
        for place, (head, _) in enumerate(_COLUMNS[kind]):
            self.text(_LEFT + place * _COLUMN, self.y, head, "pale")
        self.y += 10
        for row in rows:
            self._row(row["cell"]["label"], kind, row["medians"], contenders)
        self.y += 24

    def _row(self, label: str, kind: str, medians: Mapping[str, Figures], contenders: Sequence[str]) -> None:
        height = _BAR * len(contenders)
        self.text(_LEFT - 12, self.y + height / 2 + 4, label, anchor="end", size=11)
        for place, (_, name) in enumerate(_COLUMNS[kind]):
            left = _LEFT + place * _COLUMN
            values = {who: medians[who][name] for who in contenders if name in medians.get(who, {})}
            widest = max(values.values(), default=0) or 1
            for number, contender in enumerate(contenders):
                if contender not in values:
                    continue
                y, value = self.y + number * _BAR, values[contender]
                width = value / widest * (_COLUMN - _LABEL - 20)
                self.bar(left, y, width, contender)
                self.text(
                    left + width + 6,
                    y + _BAR - 3,
                    f"{value:,.0f}" if value >= 100 else f"{value:.1f}",
                    "pale",
                    10,
                )
            self.shapes.append(
                f'<line class="axis" x1="{left}" y1="{self.y - 2:g}" x2="{left}" y2="{self.y + height:g}"/>'
            )
        self.y += height + _GAP

    def svg(self, title: str) -> str:
        height = self.y + 8
        head = _HEAD.format(width=WIDTH, height=f"{height:g}", title=escape(title), style=_STYLE)
        return head + "\n".join(self.shapes) + "\n</svg>\n"


def plot(result: Mapping[str, Any]) -> str:
    """Draw the backlogs and the steady loads."""
    picture = _Picture()
    rows = {
        kind: [row for row in result["cells"] if row["cell"]["kind"] == kind and row["medians"]]
        for kind in _COLUMNS
    }
    present = {contender for of_kind in rows.values() for row in of_kind for contender in row["medians"]}
    contenders = [contender for contender in NAMES if contender in present]
    picture.legend(contenders)
    for kind, of_kind in rows.items():
        if of_kind:
            picture.section(kind, of_kind, contenders)
    if not contenders:
        picture.text(16, 34, "No figures yet: run make bench.")
    return picture.svg("Speed of Hookferry, next to a consumer written by hand and a bare loop")
