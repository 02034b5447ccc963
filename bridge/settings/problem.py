"""A mistake in the settings and its place: ``Problem``, ``Place``, and how both are shown.

A problem is one line: ``file:line:column: path.to.key "value": cause; remedy``. A secret value is left out;
the code that creates the ``Problem`` decides that (see ``Tree.shown``). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

Path = tuple[str | int, ...]
"""The keys and list positions that lead to a value."""

_LONGEST_SHOWN = 80


class Place(NamedTuple):
    """A place in the file (``line`` from 1), or an environment variable (``line`` 0)."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """``file:line:column``, or the variable."""
        if self.line:
            return f"{self.source}:{self.line}:{self.column}"
        return self.source


class Marks(NamedTuple):
    """The place of a key, and the place where its value begins."""

    key: Place
    value: Place


def within(written: str, begin: Place, value: str, at: int) -> Place:
    """Return the place of a character of ``value`` in the file, or ``begin`` if it cannot be found.

    ``written`` is the text of the file, ``begin`` the place where ``value`` begins, ``at`` the character's
    index. YAML folds lines and removes indentation, but neither drops nor adds visible characters. The same
    number of them therefore comes before the character in the file. An escape in quotes breaks that rule;
    the comparison at the end detects it.
    """
    lines = written.split("\n")
    line, column = begin.line - 1, begin.column - 1
    first = lines[line][column : column + 1] if line < len(lines) else ""
    if first in ("|", ">"):
        line, column = line + 1, 0
    elif first in ("'", '"'):
        column += 1
    wanted = value[at : at + 1]
    before = sum(not character.isspace() for character in value[:at])
    while line < len(lines):
        for index in range(column, len(lines[line])):
            character = lines[line][index]
            if character.isspace():
                continue
            if before == 0:
                return Place(begin.source, line + 1, index + 1) if wanted == character else begin
            before -= 1
            if before == 0 and not wanted:
                return Place(begin.source, line + 1, index + 2)
        line, column = line + 1, 0
    return begin


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the settings: place, path, cause and remedy."""

    place: Place
    path: Path
    cause: str
    remedy: str
    value: str | None = None

    def __str__(self) -> str:
        """One line: ``place: path "value": cause; remedy``."""
        subject = dotted(self.path)
        if self.value is not None:
            subject = f'{subject} "{self.value}"'.lstrip()
        head = f"{self.place}: {subject}: " if subject else f"{self.place}: "
        return f"{head}{self.cause}; {self.remedy}"


def printable(text: str) -> str:
    """Shorten ``text`` to one line of printable characters."""
    if len(text) > _LONGEST_SHOWN:
        text = text[:_LONGEST_SHOWN] + "…"
    return one_line(text)


def one_line(text: str) -> str:
    """Escape what cannot be printed. The text is not shortened: the end of a path is the file's name."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def dotted(path: Path) -> str:
    """Write a path as ``endpoints.crm.events[0]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f"{'.' if text else ''}{printable(step)}"
    return text


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of ``words`` that was probably meant, or None."""
    candidates = list(words)
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    matches = get_close_matches(word[:100].lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def choice(word: str, words: Iterable[str], what: str = "use one of") -> str:
    """Return a remedy that names the word that was probably meant, or else all words."""
    candidates = list(words)
    if guess := nearest(word, candidates):
        return f'did you mean "{printable(guess)}"?'
    return f"{what} {', '.join(printable(candidate) for candidate in candidates)}"
