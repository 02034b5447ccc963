"""Find out which parts of a variable a template can read, from its syntax alone.

Invariant: a template never reaches a part of the variable that is not below one of the paths.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from bridge.model import FieldSet


def paths_read(tree: nodes.Node, variable: str) -> FieldSet:
    """Return the paths that a parsed template reads of a variable.

    A path ends where it is no longer constant: ``data.lines[i].id`` reads all of ``data.lines``. Any use
    of the variable itself, such as ``data | json``, a loop over it or another name for it, reads all of it.
    """
    return frozenset(_paths(tree, variable))


def _paths(node: nodes.Node, variable: str) -> Iterator[tuple[str, ...]]:
    path = _path(node, variable)
    if path is not None:
        yield path
        return
    for child in node.iter_child_nodes():
        yield from _paths(child, variable)


def _path(node: nodes.Node, variable: str) -> tuple[str, ...] | None:
    """Return the path that an expression is; None for any other expression."""
    if isinstance(node, nodes.Name):
        return () if node.name == variable else None
    if isinstance(node, nodes.Getattr):
        name = node.attr
    elif (
        isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and type(node.arg.value) is str
    ):
        name = node.arg.value
    else:
        return None
    holder = _path(node.node, variable)
    return None if holder is None else (*holder, name)
