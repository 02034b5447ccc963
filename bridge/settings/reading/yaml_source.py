"""Reads a YAML text into a ``Tree``: plain values, each with line and column.

Built on PyYAML's node graph rather than ``safe_load``, since only nodes know their place. Bounded
in depth and in number of values, aliases counted as often as they are used, so that a small file
cannot become a large one. Only plain types: text, numbers, flags, null, lists, mappings. What
looks like a date stays text. Pure; ``ConfigError`` never, problems are collected.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.composer import ComposerError

from bridge.settings.problem import Marks, Path, Place, Problem, choice
from bridge.settings.reading.shape import keys
from bridge.settings.reading.tree import Tree

MAX_DEPTH = 32
MAX_VALUES = 50_000  # a thousand endpoints with fifty settings each

_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_TEXT = {_TAG + "str", _TAG + "timestamp", _TAG + "value", _MERGE}
_SCALARS = {_TAG + "int", _TAG + "float", _TAG + "bool", _TAG + "null"}
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_HINT = "look for a missing quote, bracket or colon, for tabs and for indentation here or just above"


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with a bound on nesting, since it recurses."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.depth >= MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise ComposerError(None, None, f"nested more than {MAX_DEPTH} deep", mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _TooMany(Exception):
    """The file has more values than any real one."""


class _Reader:
    """Turns nodes into values for one file, and collects what is wrong with them."""

    def __init__(self, loader: _Loader, tree: Tree, problems: list[Problem]) -> None:
        self.loader = loader
        self.tree = tree
        self.problems = problems
        self.seen = 0
        self.open: set[int] = set()

    def place(self, node: yaml.Node) -> Place:
        mark = node.start_mark
        return Place(self.tree.root.source, mark.line + 1, mark.column + 1)

    def report(self, node: yaml.Node, path: Path, cause: str, remedy: str) -> None:
        self.problems.append(Problem(self.place(node), path, cause, remedy))
        self.tree.broken.add(path)

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.seen += 1
        if self.seen > MAX_VALUES:
            raise _TooMany
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if id(node) in self.open:
            self.report(node, path, "an alias stands inside what it refers to", "write the values out")
            return None
        if len(self.open) >= MAX_DEPTH:  # aliases can stack what the composer found shallow
            self.report(node, path, f"is nested more than {MAX_DEPTH} deep", "write it flatter")
            return None
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
                return self.mapping(node, path)
            if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
                return self.sequence(node, path)
        finally:
            self.open.discard(id(node))
        self.report(node, path, "has a YAML tag (!…) that settings do not know", "remove the tag")
        return None

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if node.tag in _TEXT:
            return node.value
        if node.tag not in _SCALARS:
            self.report(
                node, path, "has a YAML tag (!…) that settings do not know", "put the value in quotes"
            )
            return None
        try:
            return self.loader.construct_object(node)
        except (ValueError, KeyError, OverflowError, yaml.YAMLError):  # `!!int x`, `!!bool x`, 5000 digits
            self.report(node, path, "is not what its YAML type says", "put the value in quotes")
            return None

    def sequence(self, node: yaml.SequenceNode, path: Path) -> list[Any]:
        items = []
        for index, child in enumerate(node.value):
            inner = (*path, index)
            self.tree.marks[inner] = Marks(self.place(child), self.place(child))
            items.append(self.value(child, inner))
        return items

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, child in node.value:
            if key.tag == _MERGE:
                result |= self.merged(child, path)
        own: dict[str, Place] = {}
        for key, child in node.value:
            if key.tag == _MERGE:
                continue
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _TEXT:
                self.problems.append(
                    Problem(self.place(key), path, "has a key that is not text", "put the key in quotes")
                )
                continue
            name: str = key.value
            inner = (*path, name)
            if name in own:
                remedy = f"keep one; the first is in line {own[name].line}"
                self.problems.append(Problem(self.place(key), inner, "is given twice", remedy))
                continue
            own[name] = self.place(key)
            self.tree.marks[inner] = Marks(self.place(key), self.place(child))
            result[name] = self.value(child, inner)
        return result

    def merged(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        """Read what ``<<`` brings in; of a list the first has precedence (YAML merge keys)."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for part in reversed(parts):
            value = self.value(part, path) if isinstance(part, yaml.MappingNode) else None
            if isinstance(value, dict):
                result |= value
            else:
                self.problems.append(
                    Problem(
                        self.place(part), path, "<< does not name a mapping", "write <<: *name of a mapping"
                    )
                )
        return result


def read_yaml(text: str, name: str) -> tuple[Tree, list[Problem]]:
    """Read a YAML text; a syntax error is the only problem then."""
    tree = Tree(Place(name), written=text)
    problems: list[Problem] = []
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return tree, [
                Problem(Place(name), (), "the file is empty", "copy config/bridge.yaml and begin there")
            ]
        value = _Reader(loader, tree, problems).value(node, ())
    except yaml.YAMLError as exc:
        return tree, [_syntax(exc, name, text)]
    except _TooMany:
        cause = f"has more than {MAX_VALUES} values, aliases counted each time they are used"
        return tree, [
            Problem(Place(name), (), cause, "write the values out, or split the endpoints over two groups")
        ]
    except (ValueError, OverflowError):  # PyYAML: "\U00110000" in double quotes
        return tree, [
            Problem(Place(name), (), "has an escape that is no character", "correct the \\U escape")
        ]
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(value, dict):
        cause = "the file is not a mapping of keys to values"
        return tree, problems or [
            Problem(Place(name), (), cause, choice("", keys(()), "begin with the keys"))
        ]
    tree.data = value
    return tree, problems


def _syntax(exc: yaml.YAMLError, name: str, text: str) -> Problem:
    """Say where the syntax breaks, without PyYAML's excerpt: the line may hold a secret."""
    place = Place(name)
    cause, hint = "holds a character that YAML does not allow", _HINT
    if isinstance(exc, yaml.MarkedYAMLError):
        cause = _QUOTED.sub(_token_only, exc.problem or exc.context or "cannot be read")
        mark = exc.problem_mark or exc.context_mark
        if mark is not None:
            place = Place(name, mark.line + 1, mark.column + 1)
            if "${" in "".join(text.splitlines()[mark.line : mark.line + 1]):
                hint = "inside [ ] and { } put text with ${…} in quotes"
    return Problem(place, (), f"YAML syntax: {cause}", hint)


def _token_only(quoted: re.Match[str]) -> str:
    """Keep what PyYAML quotes only if it is a token's name or one character of syntax."""
    inside: str = quoted[1] or quoted[2] or ""
    return quoted[0] if len(inside) == 1 or inside.startswith("<") else "…"
