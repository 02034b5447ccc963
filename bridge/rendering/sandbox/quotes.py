"""Find the values of a JSON template that are inside quotes, and those that are outside.

Inside quotes a text is escaped and cannot end the quotes. Outside, a text such as ``1, "admin": true`` would
add a key, so those values get the mark ``BARE``. The state is derived from the template alone. Where it is
not known, in a macro or where branches end differently, values get the mark ``UNDECIDED``, and ``places``
decides when the whole text exists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from jinja2 import TemplateSyntaxError, nodes

BARE, UNDECIDED = "bare!", "undecided!"

_State = bool | None
"""True inside quotes, False outside, None if unknown."""

_QUOTE = re.compile(r'\\.|"', re.DOTALL)
_ENDS_A_KEY = re.compile(r'"\s*(?::|\Z)')
_CLOSES_A_KEY = re.compile(r'(?:[^"\\]|\\.)*"\s*(?::|\Z)', re.DOTALL)


def scan(text: str, inside: bool) -> bool:
    """Return True if the end of the text is inside quotes.

    A backslash outside quotes is no JSON, so it does not matter what it does there.
    """
    if '"' not in text:
        return inside
    if "\\" not in text:
        return inside ^ (text.count('"') % 2 == 1)
    for found in _QUOTE.findall(text):
        if found == '"':
            inside = not inside
    return inside


class Quotes:
    """The places of one template's values. The constructor marks those that need it.

    ``undecided``: there are values outside macros whose place is not known. ``keys_vary``: the name of a key
    may contain a value. Raises ``TemplateSyntaxError`` for a value right after a backslash, which would undo
    its escaping.
    """

    def __init__(self, tree: nodes.Template) -> None:
        self.undecided = False
        self.keys_vary = False
        for data in tree.find_all(nodes.TemplateData):
            if (len(data.data) - len(data.data.rstrip("\\"))) % 2:
                cause = "a single backslash is right before {{ or {%; write two"
                raise TemplateSyntaxError(cause, data.lineno)
        self._in_block = False
        self._mark(tree.body, False)

    def _mark(self, body: Sequence[nodes.Node], state: _State, *, dry: bool = False) -> _State:
        for node in body:
            state = self._after(node, state, dry)
        return state

    def _after(self, node: nodes.Node, state: _State, dry: bool) -> _State:
        if isinstance(node, nodes.Output):
            return self._output(node, state, dry)
        if isinstance(node, nodes.If):
            branches = [node.body, *(other.body for other in node.elif_), node.else_]
            ends = {self._mark(branch, state, dry=dry) for branch in branches}
            return ends.pop() if len(ends) == 1 else None
        if isinstance(node, nodes.For):
            steady = self._mark(node.body, state, dry=True) == state
            start = state if steady else None
            if not dry:
                self._mark(node.body, start)
            end = self._mark(node.else_, state, dry=dry) if node.else_ else state
            return start if end == start else None
        if isinstance(node, nodes.With):
            return self._mark(node.body, state, dry=dry)
        if isinstance(node, nodes.Macro | nodes.AssignBlock):
            outer, self._in_block = self._in_block, True
            self._mark(node.body, None, dry=dry)
            self._in_block = outer
        return state

    def _output(self, node: nodes.Output, state: _State, dry: bool) -> _State:
        for index, child in enumerate(node.nodes):
            if isinstance(child, nodes.TemplateData):
                self.keys_vary |= _may_end_a_key(child.data, state)
                state = None if state is None else scan(child.data, state)
            elif state is True or dry:
                continue
            elif _is_authors(child):
                constants = [child, *child.find_all(nodes.Const)]
                self.keys_vary |= any(":" in str(getattr(node, "value", "")) for node in constants)
            else:
                self.undecided |= state is None and not self._in_block
                node.nodes[index] = _marked(child, UNDECIDED if state is None else BARE)
        return state


def _may_end_a_key(text: str, state: _State) -> bool:
    """Return True if a key that begins before this text may end in it, so that a value may be part of it."""
    if state is True:
        return _CLOSES_A_KEY.match(text) is not None
    return text.lstrip().startswith(":") or (state is None and _ENDS_A_KEY.search(text) is not None)


def _marked(child: nodes.Expr, mark: str) -> nodes.Filter:
    marked = nodes.Filter(child, mark, [], [], None, None)
    assert child.environment is not None  # the parser sets it on every node
    marked.set_lineno(child.lineno).set_environment(child.environment)
    return marked


def _is_authors(node: nodes.Expr | None) -> bool:
    """Return True if the template itself contains every possible result, such as ``"," if not loop.last``."""
    if isinstance(node, nodes.CondExpr):
        return _is_authors(node.expr1) and (node.expr2 is None or _is_authors(node.expr2))
    return isinstance(node, nodes.Const) and node.value is not None
