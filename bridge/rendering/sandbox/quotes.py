"""Find the values that nothing encloses: in JSON outside quotes, in XML in a tag outside quotes.

Inside quotes a text is escaped and cannot end the quotes. Outside, a text such as ``1, "admin": true`` would
add a key, so those values get the mark ``BARE``. The place is derived from the template alone. Where it is
not known, in a macro or where branches end differently, values get the mark ``UNDECIDED``, and ``places``
decides when the whole text exists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from jinja2 import TemplateSyntaxError, nodes

from bridge.rendering.sandbox.syntax import JSON, Syntax

BARE, UNDECIDED = "bare!", "undecided!"

_State = str | None
"""The place (see ``Syntax``), None if it is not known."""

_ENDS_A_KEY = re.compile(r'"\s*(?::|\Z)')
_CLOSES_A_KEY = re.compile(r'(?:[^"\\]|\\.)*"\s*(?::|\Z)', re.DOTALL)


class Quotes:
    """The places of one template's values. The constructor marks those that need it.

    ``undecided``: there are values outside macros whose place is not known. ``keys_vary``: the name of a key
    may contain a value. Raises ``TemplateSyntaxError`` for a value right after a backslash, which would undo
    its escaping.
    """

    def __init__(self, tree: nodes.Template, syntax: Syntax) -> None:
        self.undecided = False
        self.keys_vary = False
        self._syntax = syntax
        self._in_block = False
        if syntax.has_backslash:
            _check_backslashes(tree)
        self._mark(tree.body, syntax.start)

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
                self._note_key(child.data, state)
                state = None if state is None else self._syntax.scan(child.data, state)
            elif dry or state == self._syntax.inside:
                continue
            elif _is_authors(child):
                constants = [child, *child.find_all(nodes.Const)]
                self.keys_vary |= any(":" in str(getattr(node, "value", "")) for node in constants)
            else:
                mark = BARE if state == self._syntax.outside else UNDECIDED
                self.undecided |= mark == UNDECIDED and not self._in_block
                node.nodes[index] = _marked(child, mark)
        return state

    def _note_key(self, text: str, state: _State) -> None:
        """Set ``keys_vary`` if a key that begins before this text may end in it."""
        if self._syntax is not JSON or self.keys_vary:
            return
        if state not in {None, JSON.outside}:
            self.keys_vary = _CLOSES_A_KEY.match(text) is not None
        else:
            may_end = state is None and _ENDS_A_KEY.search(text) is not None
            self.keys_vary = may_end or text.lstrip().startswith(":")


def _check_backslashes(tree: nodes.Template) -> None:
    for data in tree.find_all(nodes.TemplateData):
        if (len(data.data) - len(data.data.rstrip("\\"))) % 2:
            cause = "a single backslash is right before {{ or {%; write two"
            raise TemplateSyntaxError(cause, data.lineno)


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
