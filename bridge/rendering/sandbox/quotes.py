"""Where in a JSON template a value stands: inside quotes, or bare.

Below ``sandbox``. Pure. Inside quotes a text is escaped and cannot get out. Bare, a text such as
``1, "admin": true`` would add a key of its own, so a bare value goes through ``BARE``, which lets no text
through but numbers, ``true``, ``false`` and ``null``. Found from the template alone: the state is inside,
bare, or not known (in a macro, or where branches end differently), and what is not known is taken for inside.
"""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import nodes

BARE = "bare!"

_State = bool | None
"""True inside quotes, False bare, None not known."""


def mark_bare(tree: nodes.Template) -> None:
    """Send every value that stands bare through ``BARE``."""
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
            node.nodes[index] = bare.set_lineno(child.lineno).set_environment(child.environment)  # type: ignore[call-overload, arg-type]
    return state


def _is_authors(node: nodes.Expr | None) -> bool:
    """Whether all that can come out stands in the template itself, such as ``"," if not loop.last``."""
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
