"""The values of the YAML file and the environment with their places, before they are validated. Pure.

The rules read a ``Tree``, and they run even if half of the file is wrong. Every getter therefore returns
None for a value that is missing, broken or of another type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from bridge.settings.problem import Marks, Path, Place, Problem, one_line, printable, within
from bridge.settings.reading import shape

_QUERY = re.compile(r"[?#].+", re.DOTALL)
"""Of a URL: it may contain a key."""
_LONGEST_PATH = 4096
"""``PATH_MAX`` of Linux. A path is shown whole, because its end is the file's name."""


@dataclass(slots=True)
class Tree:
    """Nested dicts, lists and scalars, with places by path.

    ``broken``: paths whose problem was reported already. ``hidden``: paths whose values contain a reference;
    they are never shown. ``references``: the values of the references in a value, by path. ``written``: the
    text of the file, to find places inside values.
    """

    root: Place
    data: dict[str, Any] = field(default_factory=dict)
    marks: dict[Path, Marks] = field(default_factory=dict)
    broken: set[Path] = field(default_factory=set)
    hidden: set[Path] = field(default_factory=set)
    references: dict[Path, list[str]] = field(default_factory=dict)
    written: str = ""

    def get(self, path: Path) -> Any:
        """Return the value at a path, or None."""
        value: Any = self.data
        if self.is_broken(path):
            return None
        for step in path:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    def has(self, path: Path) -> bool:
        """Return True if the value at a path is not null, valid or not."""
        return self.get(path) is not None

    def text(self, path: Path) -> str | None:
        """Return the text at a path or its default."""
        value = self._or_default(path)
        return value if isinstance(value, str) else None

    def number(self, path: Path) -> float | None:
        """Return the number at a path or its default."""
        value = self._or_default(path)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        try:
            return float(value)
        except (ValueError, OverflowError):
            return None

    def flag(self, path: Path) -> bool:
        """Return True if pydantic would read the value at a path as true."""
        value = self._or_default(path)
        return value is True or str(value).lower() in {"1", "true", "t", "yes", "y", "on"}

    def texts(self, path: Path) -> list[tuple[Path, str]]:
        """List the texts of the list at a path, each with its own path."""
        value = self.get(path)
        if not isinstance(value, list):
            return []
        items = ((*path, index) for index in range(len(value)))
        return [(item, text) for item in items if isinstance(text := self.get(item), str)]

    def names(self, path: Path) -> list[str]:
        """List the keys of the mapping at a path."""
        value = self.get(path)
        return [key for key in value if isinstance(key, str)] if isinstance(value, dict) else []

    def _or_default(self, path: Path) -> Any:
        value = self.get(path)
        if value is not None or self.is_broken(path):
            return value
        fallback = shape.default(path)
        return None if isinstance(fallback, BaseModel) else fallback

    def is_broken(self, path: Path) -> bool:
        """Return True if a problem with this value or one that contains it was reported already."""
        return bool(self.broken) and any(path[:depth] in self.broken for depth in range(1, len(path) + 1))

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Return the place of a value or its key; of the nearest parent that has one if it has none."""
        for depth in range(len(path), 0, -1):
            if marks := self.marks.get(path[:depth]):
                return marks.key if key or depth < len(path) else marks.value
        return self.root

    def shown(self, path: Path) -> str | None:
        """Return a value as it may be shown; None for a secret or a value with a reference."""
        value = self.get(path)
        if path in self.hidden or shape.is_secret(path) or isinstance(value, dict | list) or value is None:
            return None
        try:
            text = str(value).lower() if isinstance(value, bool) else str(value)
        except ValueError:  # an int of more digits than Python converts
            return None
        if "://" in text:
            if "@" in text:  # a URL with a password in it
                return None
            text = _QUERY.sub("?…", text)
        if len(text) < _LONGEST_PATH and shape.names_a_file(path):
            return one_line(text)
        return printable(text)

    def problem(self, path: Path, cause: str, remedy: str, *, key: bool = False) -> Problem:
        """Create a problem with the value (or ``key``) at a path."""
        return Problem(self.place(path, key=key), path, cause, remedy, None if key else self.shown(path))

    def place_within(self, path: Path, at: int) -> Place:
        """Return the place of a character of the text at a path, or of the whole text if unknown."""
        begin, value = self.place(path), self.get(path)
        if not begin.line or path in self.hidden or not isinstance(value, str):
            return begin
        return within(self.written, begin, value, at)

    def walk(self) -> Iterator[tuple[Path, Any]]:
        """Yield every scalar with its path."""
        todo: list[tuple[Path, Any]] = [((), self.data)]
        while todo:
            path, value = todo.pop()
            if isinstance(value, dict):
                todo.extend(((*path, name), child) for name, child in value.items())
            elif isinstance(value, list):
                todo.extend(((*path, index), child) for index, child in enumerate(value))
            else:
                yield path, value

    def replace(self, path: Path, value: Any) -> None:
        """Replace the value at a path that exists."""
        parent: Any = self.data
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = value


def overlay(lower: Tree, upper: Tree) -> Tree:
    """Merge ``upper`` into a copy of ``lower``: mappings key by key, other values as a whole."""
    merged = Tree(
        lower.root,
        marks=dict(lower.marks),
        broken=set(lower.broken),
        hidden=set(lower.hidden),
        written=lower.written,
    )
    merged.data = _merge(merged, (), lower.data, upper.data)
    merged.marks.update(upper.marks)
    merged.broken |= upper.broken
    merged.hidden |= upper.hidden
    return merged


def _merge(merged: Tree, path: Path, lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    result = dict(lower)
    for name, value in upper.items():
        below = lower.get(name)
        inner = (*path, name)
        if isinstance(below, dict) and isinstance(value, dict):
            result[name] = _merge(merged, inner, below, value)
            continue
        result[name] = value
        merged.marks = {p: m for p, m in merged.marks.items() if p[: len(inner)] != inner}
        merged.broken = {p for p in merged.broken if p[: len(inner)] != inner}
        merged.hidden = {p for p in merged.hidden if p[: len(inner)] != inner}
    return result
