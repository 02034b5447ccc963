"""Reads a YAML text into a ``Tree``: plain values, each with line and column.

It walks PyYAML's node graph instead of calling ``safe_load``, because only nodes have positions. Problems are
collected, never raised. Only plain types are read: text, numbers, true and false, null, lists, mappings. A
date stays text.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from bridge.settings.problem import Marks, Path, Place, Problem, choice
from bridge.settings.reading.shape import keys
from bridge.settings.reading.tree import Tree

_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_TEXT = {_TAG + "str", _TAG + "timestamp", _TAG + "value", _MERGE}
_SCALARS = {_TAG + "int", _TAG + "float", _TAG + "bool", _TAG + "null"}
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_SYNTAX_REMEDY = (
    "look here and in the lines above for a missing quote, bracket or colon, a tab, or indentation"
)


class _Reader:
    """Converts the nodes of one file to values, and collects the problems in them."""

    def __init__(self, loader: yaml.SafeLoader, tree: Tree, problems: list[Problem]) -> None:
        self.loader = loader
        self.tree = tree
        self.problems = problems

    def place(self, node: yaml.Node) -> Place:
        mark = node.start_mark
        return Place(self.tree.root.source, mark.line + 1, mark.column + 1)

    def report(self, node: yaml.Node, path: Path, cause: str, remedy: str) -> None:
        self.problems.append(Problem(self.place(node), path, cause, remedy))
        self.tree.broken.add(path)

    def value(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return self.sequence(node, path)
        self.report(node, path, "has a YAML tag (!…), which settings do not support", "remove the tag")
        return None

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if node.tag in _TEXT:
            return node.value
        if node.tag not in _SCALARS:
            self.report(
                node, path, "has a YAML tag (!…), which settings do not support", "put the value in quotes"
            )
            return None
        try:
            return self.loader.construct_object(node)
        except (ValueError, KeyError, OverflowError, yaml.YAMLError):  # `!!int x`, `!!bool x`, 5000 digits
            self.report(node, path, "is not a value of its YAML type", "put the value in quotes")
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
        """Read the mappings that ``<<`` names; the first of a list takes precedence (YAML merge keys)."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for part in reversed(parts):
            value = self.value(part, path) if isinstance(part, yaml.MappingNode) else None
            if isinstance(value, dict):
                result |= value
            else:
                cause, remedy = "<< does not name a mapping", "write <<: *name of a mapping"
                self.problems.append(Problem(self.place(part), path, cause, remedy))
        return result


def read_yaml(text: str, name: str) -> tuple[Tree, list[Problem]]:
    """Read a YAML text. A file that cannot be read at all has one problem and no values."""
    tree = Tree(Place(name), written=text)
    problems: list[Problem] = []

    def refuse(cause: str, remedy: str) -> tuple[Tree, list[Problem]]:
        return tree, [Problem(Place(name), (), cause, remedy)]

    try:
        value = _read_nodes(text, tree, problems)
    except yaml.YAMLError as exc:
        return tree, [_syntax(exc, name, text)]
    except RecursionError:
        return refuse(
            "the file is nested too deeply, or an alias (*) is part of what it refers to",
            "write it with fewer levels, and write out the values of that alias",
        )
    except (ValueError, OverflowError):  # PyYAML: "\U00110000" in double quotes
        return refuse(
            "the file has a \\U escape that is not a Unicode character",
            "correct it: the largest is \\U0010FFFF",
        )
    if isinstance(value, dict):
        tree.data = value
    elif value is None and not problems:
        return refuse("the file is empty", "start from a copy of config/bridge.yaml")
    elif not problems:
        remedy = choice("", keys(()), "begin with the keys")
        return refuse("the file is not a mapping of keys to values", remedy)
    return tree, problems


def _read_nodes(text: str, tree: Tree, problems: list[Problem]) -> Any:
    """Return the value of the only document in a text, None for an empty one."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _Reader(loader, tree, problems).value(node, ())
    finally:
        loader.dispose()


def _syntax(exc: yaml.YAMLError, name: str, text: str) -> Problem:
    """Describe a syntax error without PyYAML's excerpt of the line, which may contain a secret."""
    place = Place(name)
    cause, remedy = "contains a character that YAML does not allow", _SYNTAX_REMEDY
    if isinstance(exc, yaml.MarkedYAMLError):
        cause = _QUOTED.sub(_token_only, exc.problem or exc.context or "cannot be read")
        mark = exc.problem_mark or exc.context_mark
        if mark is not None:
            place = Place(name, mark.line + 1, mark.column + 1)
            if "${" in "".join(text.splitlines()[mark.line : mark.line + 1]):
                remedy = "put text with ${…} in quotes when it is inside [ ] or { }"
    return Problem(place, (), f"YAML syntax: {cause}", remedy)


def _token_only(quoted: re.Match[str]) -> str:
    """Keep what PyYAML quotes only if it is the name of a token or one character of syntax."""
    inside: str = quoted[1] or quoted[2] or ""
    return quoted[0] if len(inside) == 1 or inside.startswith("<") else "…"
