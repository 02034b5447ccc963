"""Find the values of a JSON template that are inside quotes, and those that are bare.

Inside quotes a text is escaped and cannot end the quotes. A bare text such as ``1, "admin": true`` would
add a key. So a bare value goes through the filter ``BARE``, which accepts no text except numbers, ``true``,
``false`` and ``null``. The state is derived from the template alone: inside, bare, or unknown (in a macro,
or where branches end differently). Unknown is treated as inside.
"""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import nodes

BARE = "bare!"

_State = bool | None
"""True inside quotes, False if bare, None if unknown."""


def mark_bare(tree: nodes.Template) -> None:
    """Apply the filter ``BARE`` to every bare value."""
    _mark(tree.body, False)


def _mark(body: Sequence[nodes.Node], state: _State, *, dry: bool = False) -> _State:
    for node in body:
        state = _after(node, state, dry)
    return state


def _after(node: nodes.Node, state: _State, dry: bool) -> _State:
    if isinstance(node, nodes.Output):
        return _output(node, state, dry)
    if isinstance(node, nodes.If):
        branches = [node.body, *(other.body for other in node.elif_), node.else_]
        ends = {_mark(branch, state, dry=dry) for branch in branches}
        return ends.pop() if len(ends) == 1 else None
    if isinstance(node, nodes.For):
        steady = _mark(node.body, state, dry=True) == state
        start = state if steady else None
        _mark(node.body, start, dry=dry)
        end = _mark(node.else_, state, dry=dry) if node.else_ else state
        return start if end == start else None
    if isinstance(node, nodes.With):
        return _mark(node.body, state, dry=dry)
    if isinstance(node, nodes.Macro | nodes.AssignBlock):
        _mark(node.body, None, dry=dry)
    return state


def _output(node: nodes.Output, state: _State, dry: bool) -> _State:
    for index, child in enumerate(node.nodes):
        if isinstance(child, nodes.TemplateData):
            state = _scan(child.data, state)
        elif state is False and not dry and not _is_authors(child):
            bare = nodes.Filter(child, BARE, [], [], None, None)
            assert child.environment is not None  # the parser sets it on every node
            bare.set_lineno(child.lineno).set_environment(child.environment)
            node.nodes[index] = bare
    return state


def _is_authors(node: nodes.Expr | None) -> bool:
    """Return True if the template itself contains every possible result, such as ``"," if not loop.last``."""
    if isinstance(node, nodes.CondExpr):
        return _is_authors(node.expr1) and (node.expr2 is None or _is_authors(node.expr2))
    return isinstance(node, nodes.Const)


def _scan(text: str, state: _State) -> _State:
    if state is None:
        return None
    characters = iter(text)
    for character in characters:
        if character == '"':
            state = not state
        elif character == "\\" and state:
            next(characters, None)
    return state
