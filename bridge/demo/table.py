"""Print the demo: one line per webhook as it arrives, and the summary.

In color on a terminal; as plain text of a fixed width in a pipe or a CI log.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bridge.demo.broker import Parked
from bridge.demo.services import Message
from bridge.demo.tally import Check, Row

_PLAIN_WIDTH = 110
_TYPE_WIDTH = (12, 30)
_COLUMNS = (  # heading, width, justification; the type takes what is left
    ("#", 2, "right"),
    ("time", 7, "right"),
    ("to", 4, "left"),
    ("event type", 0, "left"),
    ("entity", 6, "left"),
    ("order", 8, "left"),
    ("signature", 9, "left"),
    ("try", 3, "right"),
    ("answer", 10, "left"),
    ("latency", 8, "right"),
)


def _duration(duration_ms: float) -> str:
    """Return a duration for a narrow column: seconds from ten seconds on."""
    return f"{duration_ms:.0f} ms" if duration_ms < 10_000 else f"{duration_ms / 1000:.0f} s"


class Screen:
    """Prints everything that the demo shows, on standard output."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(highlight=False)
        if not console.is_terminal:
            console.width = max(console.width, _PLAIN_WIDTH)
        self._console = console
        self._unicode = console.encoding.lower().replace("-", "") in ("utf8", "utf16")
        self._good, self._bad = ("✓", "✗") if self._unicode else ("ok", "NO")
        fixed = sum(width + 1 for _, width, _ in _COLUMNS)
        self._type_width = min(max(console.width - fixed, _TYPE_WIDTH[0]), _TYPE_WIDTH[1])

    def say(self, text: str = "", style: str = "") -> None:
        """Print one line."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def step(self, subject: str, text: str) -> None:
        """Print one line about a part that has started."""
        self._console.print(Text.assemble((f"{subject:<9}", "bold"), text), soft_wrap=True)

    def config(self, title: str, text: str) -> None:
        """Print a file in a frame."""
        self._console.print(Panel(escape(text.rstrip()), title=escape(title), title_align="left"))

    def headings(self) -> None:
        """Print the column headings, and how to read the columns."""
        self.say(
            "Each line is one request, as it arrives. order: position of the event among those of its entity;"
        )
        self.say(
            "try: number of this attempt; latency: from publishing the record to the arrival of this request."
        )
        self._line([Text(heading, style="bold underline") for heading, _, _ in _COLUMNS])

    def row(self, row: Row) -> None:
        """Print one webhook that arrived."""
        webhook, status = row.webhook, row.answer.status
        color = "green" if status < 300 else "yellow" if status >= 500 else "red"
        order = f"{row.position} of {row.of} " if row.position else "by hand "
        latency = "" if row.latency_ms is None else _duration(row.latency_ms)
        then = "retry" if status >= 500 else "parked" if status >= 400 else ""
        self._line(
            [
                Text(str(row.number), style="dim"),
                Text(f"{row.at_s:.3f} s", style="dim"),
                Text(webhook.endpoint),
                Text(webhook.type),
                Text(webhook.entity, style="cyan"),
                Text("again", style="yellow")
                if row.again
                else Text.assemble(order, self._mark(row.in_order) if row.position else ""),
                Text.assemble("valid " if webhook.signed else "WRONG ", self._mark(webhook.signed)),
                Text(str(webhook.attempt), style="yellow" if webhook.attempt > 1 else ""),
                Text(f"{status} {then}".rstrip(), style=color),
                Text(latency),
            ]
        )

    def message(self, message: Message) -> None:
        """Print a message that a service shows, with its first line in bold, or that it refused one."""
        if message.refused:
            self.say(f"{'':>10} {message.service} refused a message: {message.refused}", "bold red")
            return
        first, *rest = (self._printable(line) for line in message.lines)
        shown = Text.assemble((f"{'':>10} {message.service} shows ", "dim"), (first, "bold"))
        shown.append(" | " + " | ".join(rest))
        shown.truncate(self._console.width, overflow="ellipsis" if self._unicode else "crop")
        self._console.print(shown, no_wrap=True)

    def summary(
        self, checks: Sequence[Check], parked: Sequence[Parked], facts: Sequence[tuple[str, str]]
    ) -> None:
        """Print every promise with its mark, the parked records with their causes, and further facts."""
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column()
        for check in checks:
            grid.add_row(self._mark(check.kept), check.subject, escape(check.text))
            for letter in parked if check.subject == "parked" else ():
                receiver = f" for {letter.endpoint}" if letter.endpoint else ""
                cause = letter.cause.removeprefix(f"{letter.place}: ")
                grid.add_row("", "", Text(f"{letter.place}{receiver}: {cause}", style="yellow"))
                grid.add_row("", "", Text(f"  remedy: {letter.remedy}", style="dim"))
        for subject, text in facts:
            grid.add_row("", subject, escape(text))
        kept = all(check.kept for check in checks)
        title = "All as promised" if kept else "NOT as promised"
        self._console.print(
            Panel(grid, title=title, title_align="left", border_style="green" if kept else "red")
        )

    def _printable(self, text: str) -> str:
        """Return the text, without the characters that a terminal without Unicode cannot show."""
        return text if self._unicode else text.encode("ascii", "ignore").decode().strip()

    def _mark(self, good: bool) -> Text:
        return Text(self._good, style="green") if good else Text(self._bad, style="bold red")

    def _line(self, cells: Sequence[Text]) -> None:
        grid = Table.grid(padding=(0, 1, 0, 0))
        for heading, width, justify in _COLUMNS:
            grid.add_column(
                width=width or self._type_width,
                justify="right" if justify == "right" else "left",
                no_wrap=True,
                overflow="ellipsis" if heading == "event type" else "fold",
            )
        grid.add_row(*cells)
        self._console.print(grid)
