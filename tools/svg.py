"""Draw boxes, arrows and text as SVG: plain shapes on white, readable in light and dark themes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

INK, LINE, PAPER = "#1f2933", "#52606d", "#ffffff"
_WIDTH_OF_CHARACTER = 0.58
"""Width of an average character of a wide sans-serif font, in font sizes; bold adds a tenth."""
_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" \
font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif" role="img" aria-label="{title}">
<title>{title}</title>
<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0 0L10 5L0 10z" fill="{line}"/></marker></defs>
<rect width="{width}" height="{height}" rx="10" fill="{paper}"/>
"""

Point = tuple[float, float]


class Drawing:
    """An SVG picture that is built from shapes, later ones on top."""

    def __init__(self, title: str, width: int, height: int) -> None:
        self._head = _HEAD.format(title=escape(title), width=width, height=height, line=LINE, paper=PAPER)
        self._shapes: list[str] = []

    def text(
        self,
        at: Point,
        text: str,
        size: float = 12,
        *,
        anchor: str = "middle",
        bold: bool = False,
        color: str = INK,
        fits: float | None = None,
    ) -> None:
        """Write one line with its baseline at ``at``. Raises ``ValueError`` if it is wider than ``fits``."""
        width = len(text) * size * _WIDTH_OF_CHARACTER * (1.1 if bold else 1)
        if fits is not None and width > fits:
            raise ValueError(f"{text!r} is {width:.0f} wide and has {fits:.0f}: shorten it")
        weight = ' font-weight="bold"' if bold else ""
        self._shapes.append(
            f'<text x="{at[0]:g}" y="{at[1]:g}" font-size="{size:g}" text-anchor="{anchor}" fill="{color}"'
            f"{weight}>{escape(text, quote=False)}</text>"
        )

    def box(
        self, at: Point, size: Point, *, fill: str = PAPER, line: str = LINE, dashed: bool = False
    ) -> None:
        """Draw a rounded rectangle from its upper left corner."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._shapes.append(
            f'<rect x="{at[0]:g}" y="{at[1]:g}" width="{size[0]:g}" height="{size[1]:g}" rx="6" fill="{fill}"'
            f' stroke="{line}"{dash}/>'
        )

    def badge(self, at: Point, number: int) -> None:
        """Draw a filled circle with a number."""
        self._shapes.append(f'<circle cx="{at[0]:g}" cy="{at[1]:g}" r="10" fill="{INK}"/>')
        self.text((at[0], at[1] + 4), str(number), 11, bold=True, color=PAPER)

    def arrow(self, points: Sequence[Point], *, dashed: bool = False) -> None:
        """Draw a line through the points, with an arrowhead at the last."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
        self._shapes.append(
            f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.5"{dash} marker-end="url(#head)"/>'
        )

    def svg(self) -> str:
        """Return the whole picture."""
        return self._head + "\n".join(self._shapes) + "\n</svg>\n"
