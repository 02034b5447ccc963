"""Restrict Jinja2's language, and insert budget charges into loops and macros.

An allow-list of the nodes of a parsed template: any other node is refused at compile time, with its line.
So ``include``, ``import`` and ``extends`` never read a file, and no method of a Python object can be called.
"""

from __future__ import annotations

from typing import TypeVar

from jinja2 import TemplateSyntaxError, nodes

CHARGE, CONCAT, LOOP_OVER, UNESCAPE, SLICED, BUILT, COMPARED, SEARCHED = (
    "charge!", "concat!", "over!", "unescaped!", "sliced!", "built!", "compared!", "searched!",
)  # fmt: skip
"""Operations of the environment, in the form of filter nodes.

They are compiled to calls of its methods and are in no table of filters, so no template can name one, not
even in a text as in ``map('charge!')``.
"""

LOOP_CALLS = frozenset({"cycle", "changed"})

_STATEMENTS = (
    nodes.Template, nodes.Output, nodes.For, nodes.If, nodes.Macro, nodes.Assign, nodes.AssignBlock,
    nodes.With,
)  # fmt: skip
_EXPRESSIONS = (
    nodes.Name, nodes.NSRef, nodes.Const, nodes.TemplateData, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair,
    nodes.Keyword, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call, nodes.Getitem, nodes.Getattr,
    nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Add,
    nodes.Sub, nodes.Mod, nodes.Pow, nodes.Not, nodes.Neg, nodes.Pos, nodes.And, nodes.Or,
)  # fmt: skip
_ALLOWED = frozenset(_STATEMENTS + _EXPRESSIONS)
_WORDS: dict[type[nodes.Node], str] = {
    nodes.FromImport: "import", nodes.CallBlock: "call", nodes.FilterBlock: "filter",
    nodes.ScopedEvalContextModifier: "autoescape",
}  # fmt: skip

_NOT_NAMES = frozenset({"self", "super", "caller", "varargs", "kwargs"})
"""Names that Jinja2 defines. The last two are containers that no budget has counted."""

N = TypeVar("N", bound=nodes.Node)


def restrict(tree: nodes.Template) -> nodes.Template:
    """Check the template and insert charges into its loops and macros.

    Raises ``TemplateSyntaxError`` for syntax that is not allowed.
    """
    for node in tree.find_all(nodes.Node):
        _check(node)
    _rewrite(tree)
    return tree


def _refuse(node: nodes.Node, cause: str) -> TemplateSyntaxError:
    return TemplateSyntaxError(cause, node.lineno)


def _check(node: nodes.Node) -> None:
    if type(node) not in _ALLOWED:
        word = _WORDS.get(type(node), type(node).__name__.lower())
        raise _refuse(node, f"{{% {word} %}} is not available in templates")
    if isinstance(node, nodes.Name) and node.name in _NOT_NAMES:
        raise _refuse(node, f'there is no "{node.name}"')
    if isinstance(node, nodes.For) and node.recursive:
        raise _refuse(node, "a loop cannot be recursive")
    if isinstance(node, nodes.AssignBlock) and node.filter is not None:
        raise _refuse(node, "{% set %} around text accepts no filter; apply it where the text is inserted")
    if isinstance(node, nodes.Getattr) and _is_internal(node.attr):
        raise _refuse(node, f'"{node.attr}" is an internal of Python, which templates cannot reach')
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and _is_internal(node.arg.value):
        raise _refuse(node, f'"{node.arg.value}" is an internal of Python, which templates cannot reach')
    if isinstance(node, nodes.Call):
        _check_call(node)


def _is_internal(name: object) -> bool:
    return isinstance(name, str) and name.startswith("__") and name.endswith("__")


def _check_call(node: nodes.Call) -> None:
    called = node.node
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise _refuse(node, "calls with * and ** are not available in templates")
    if isinstance(called, nodes.Name):
        return
    if isinstance(called, nodes.Getattr):
        if isinstance(called.node, nodes.Name) and called.node.name == "loop" and called.attr in LOOP_CALLS:
            return
        raise _refuse(node, f"{called.attr}() is a method, which templates cannot call; use a filter")
    raise _refuse(node, "only macros can be called")


def _rewrite(node: nodes.Node) -> None:
    for name, value in node.iter_fields():
        if isinstance(value, list):
            setattr(node, name, [_rewritten(item) for item in value])
        else:
            setattr(node, name, _rewritten(value))


def _rewritten(node: object) -> object:
    if not isinstance(node, nodes.Node):
        return node
    _rewrite(node)
    if isinstance(node, nodes.Getitem):
        return _rewritten_item(node)
    if isinstance(node, nodes.Concat):
        return _filter(node, _of(node, nodes.List(node.nodes)), CONCAT)
    if isinstance(node, nodes.List | nodes.Dict) or (isinstance(node, nodes.Tuple) and node.ctx == "load"):
        return _filter(node, node, BUILT)
    _meter_parts(node)
    return node


def _rewritten_item(node: nodes.Getitem) -> nodes.Node:
    if isinstance(node.arg, nodes.Slice):
        node.node = _filter(node, node.node, UNESCAPE)  # a slice could split an escape
        return _filter(node, node, SLICED)
    if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return _of(node, nodes.Getattr(node.node, node.arg.value, node.ctx))
    return node


def _meter_parts(node: nodes.Node) -> None:
    """Insert charges into a loop, macro or comparison."""
    if isinstance(node, nodes.Compare):
        node.expr = _metered(node.expr, COMPARED)
        for operand in node.ops:
            operand.expr = _metered(operand.expr, SEARCHED if operand.op in {"in", "notin"} else COMPARED)
    elif isinstance(node, nodes.CondExpr) and node.expr2 is None:
        node.expr2 = _of(node, nodes.Const(""))
    elif isinstance(node, nodes.For):
        node.iter = _filter(node, node.iter, LOOP_OVER)
        if node.test is not None:
            node.test = _of(node, nodes.And(_meter(node, 0), node.test))
        node.body.insert(0, _of(node, nodes.ExprStmt(_meter(node, _constant_chars(node.body)))))
    elif isinstance(node, nodes.Macro):
        node.body.insert(0, _of(node, nodes.ExprStmt(_meter(node, _constant_chars(node.body)))))


def _of(origin: nodes.Node, node: N) -> N:
    assert origin.environment is not None  # the parser sets it on every node
    node.set_lineno(origin.lineno).set_environment(origin.environment)
    return node


def _filter(origin: nodes.Node, value: nodes.Node, name: str) -> nodes.Filter:
    return _of(origin, nodes.Filter(value, name, [], [], None, None))


def _metered(operand: nodes.Expr, name: str) -> nodes.Expr:
    return operand if isinstance(operand, nodes.Const) else _filter(operand, operand, name)


def _meter(origin: nodes.Node, chars: int) -> nodes.Filter:
    """Return an expression that is true and costs one step and ``chars`` characters."""
    return _filter(origin, nodes.Const(chars), CHARGE)


def _constant_chars(body: list[nodes.Node]) -> int:
    """Count the constant text of one iteration, without inner loops, which are charged separately."""
    total = 0
    for node in body:
        if isinstance(node, nodes.TemplateData):
            total += len(node.data)
        elif not isinstance(node, nodes.For | nodes.Macro):
            total += _constant_chars(list(node.iter_child_nodes()))
    return total
