"""Print what a command found: a table for people, or one JSON or YAML document for programs.

Invariant: a document is one value (a list for lists, a mapping for one thing), and nothing in it is cut.
Tables are cut only to the width of a terminal, never in a pipe or a file.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from enum import StrEnum
from typing import Any, TextIO

import click
from click.core import ParameterSource

from bridge.cli.streams import echo_secrets
from bridge.telemetry.scrub import in_force


class Output(StrEnum):
    """The form of what a command prints."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


_CHOICE = click.Choice([kind.value for kind in Output])
_HELP = "The form of the output; json and yaml are one document."


def root_output_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``-o`` to ``hookferry`` itself, for whatever command follows."""
    return click.option("--output", "-o", "output", type=_CHOICE, metavar="FORM", help=_HELP)(command)


def output_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``-o`` and ``--json`` to a command, which gets the ``Output`` as ``output``."""

    @functools.wraps(command)
    def with_output(*args: Any, output: str | None, as_json: bool, **options: Any) -> None:
        if as_json and output not in (None, Output.JSON):
            raise click.UsageError("--json contradicts --output; give one of them")
        context = click.get_current_context()
        given = output or context.find_root().params.get("output")
        chosen = Output.JSON if as_json else Output(given or Output.TABLE)
        command(*args, output=chosen, **options)

    option = click.option(
        "--output", "-o", "output", type=_CHOICE, metavar="FORM", help=f"{_HELP} Default: table."
    )
    short = click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
    return option(short(with_output))


def given_globally(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Return what ``hookferry`` itself got for a parameter, unless the command got it too (a callback)."""
    name = param.name or ""
    root = ctx.find_root()
    above = root.params.get(name) if root is not ctx else None
    own = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    return value if own or above is None else above


def show(
    output: Output, document: Any, lines: Callable[[], Iterable[str]], *, show_secrets: bool = False
) -> None:
    """Print the document, or the lines for people; without secrets, unless the user asked for them.

    The texts of a document are scrubbed one by one, so that it stays JSON or YAML.
    """
    echo = echo_secrets if show_secrets else click.echo
    if output is Output.TABLE:
        for line in lines():
            echo(line)
    elif show_secrets:
        echo(to_text(output, document))
    else:
        click.echo(to_text(output, in_force.scrub_value(document)).encode())  # past the search of the stream


@contextmanager
def for_people(output: Output) -> Iterator[None]:
    """Print what is printed inside to standard error, if standard output is for one document."""
    if output is Output.TABLE:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def to_text(output: Output, document: Any) -> str:
    """Return a document as JSON or YAML, without characters that a terminal would obey."""
    raw = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    text = "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in raw)
    if output is Output.JSON:
        return text
    import yaml

    document = json.loads(text)  # enumerations and the like are plain values now
    plain: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=text == raw, width=1 << 30)
    return plain.rstrip("\n")


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2], 'big'):04x}" for at in range(0, len(units), 2))


def terminal_width() -> int | None:
    """Return the columns of the terminal that standard output is; None for a pipe or a file."""
    return shutil.get_terminal_size((160, 24)).columns if sys.stdout.isatty() else None


def at_most(number: int) -> int | None:
    """Return the end of a slice that a terminal shows; None, so that a pipe or a file gets everything."""
    return None if terminal_width() is None else number


def cut(text: str, most: int | None) -> str:
    """Return the text, shortened to this many characters; whole if ``most`` is None."""
    return text if most is None or len(text) <= most else f"{text[: max(0, most - 1)]}…"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as aligned columns; the first row is the heading. The last column fits a terminal."""
    widths = [max(len(click.unstyle(row[column])) for row in rows) for column in range(len(rows[0]))]
    room, front = terminal_width(), sum(widths[:-1]) + 2 * (len(widths) - 1)
    lines = []
    for row in rows:
        cells = [
            f"{cell}{' ' * (width - len(click.unstyle(cell)))}"
            for cell, width in zip(row, widths, strict=True)
        ]
        last = row[-1] if room is None else cut(row[-1], max(20, room - front))
        lines.append("  ".join([*cells[:-1], last]).rstrip())
    return "\n".join(lines)


def has_colors(stream: TextIO) -> bool:
    """Return True if the stream is a terminal that shows colors (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def colored(text: str, color: str) -> str:
    """Return the text in a color if standard output shows colors, else unchanged."""
    return click.style(text, fg=color) if has_colors(sys.stdout) else text
