"""Write an expression of a template as its author did, for messages: ``data.charges | join``.

Only names and constants of the template appear, never a value of an event.
"""

from __future__ import annotations

from jinja2 import nodes

_LONGEST = 80


def source_of(node: nodes.Node | None) -> str:
    """Return the expression, with ``…`` for parts that would make it hard to read."""
    return _written(node)[:_LONGEST]


def _written(node: nodes.Node | None) -> str:
    if isinstance(node, nodes.Filter):
        inner = _written(node.node)
        return inner if node.name.endswith("!") else f"{inner} | {node.name}"
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_written(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem):
        key = node.arg.value if isinstance(node.arg, nodes.Const) else "…"
        return f"{_written(node.node)}[{key}]"
    if isinstance(node, nodes.Call):
        return f"{_written(node.node)}(…)"
    return "…"
