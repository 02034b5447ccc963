"""Parse a filter's text into a tree, or report where and why it cannot be parsed.

Python's own parser reads the text: the operators that are allowed here mean the same in Jinja2 and
in Python. Invariant: only the node types listed here are accepted. Anything else is refused with its
place, and nothing is ever compiled or run as Python.
"""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from bridge.core.filter.tree import BadExpression, Binary, Both, FieldPath, Literal, Node, Unary
from bridge.core.filter.values import CONVERT, TEXT_TESTS, is_number

MAX_CHARS = 2000
MAX_DEPTH = 40
_MOST_DIGITS = 30
NAMES = (
    "type", "id", "time", "time_source", "entity", "tenant", "source", "topic", "data", "context", "headers",
    "headers_all",
)  # fmt: skip
"""The roots of paths."""
_ALWAYS_TEXT = frozenset(("type", "id", "time", "time_source", "entity", "tenant", "source", "topic"))
_WORDS: dict[str, Any] = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "none": None,
    "None": None,
}
_GUIDE = "docs/how-to/routing.md describes what an expression may contain"
_FOREIGN = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|(&&|\|\||!(?!=)|(?<![=!<>])=(?!=)|<>|#)")
_NATIVE = {
    "&&": "write and",
    "||": "write or",
    "!": "write not",
    "=": "write == to compare",
    "<>": "write !=",
    "#": "put the comment on its own line of the file, before when:",
}
_SIGNS: dict[type[ast.AST], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: "in", ast.NotIn: "not in", ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/",
}  # fmt: skip


def parse(text: str) -> Node:
    """Return the tree of an expression. Raises ``BadExpression``."""
    if not text.strip():
        raise BadExpression(0, "is empty", "write a condition such as data.amount > 100, or remove the key")
    if len(text) > MAX_CHARS:
        raise BadExpression(MAX_CHARS, f"is longer than {MAX_CHARS} characters", "shorten it")
    foreign = next((match for match in _FOREIGN.finditer(text) if match[1]), None)
    if foreign:
        sign = foreign[1]
        raise BadExpression(foreign.start(), f'"{sign}" is not an operator of filters', _NATIVE[sign])
    line = re.sub(r"[\t\n\v\f\r]", " ", text)
    begins = len(line) - len(line.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like are plain text here
            tree = ast.parse(line[begins:], mode="eval")
    except SyntaxError as exc:
        at = begins + exc.offset - 1 if exc.offset else len(line)
        raise _syntax(line, min(at, len(line)), exc.msg) from None
    except (ValueError, RecursionError, MemoryError):
        raise BadExpression(0, "cannot be read", _GUIDE) from None
    return _Reader(line, begins).node(tree.body, 0)


def _syntax(text: str, at: int, message: str) -> BadExpression:
    word = re.match(r"\w+", text[at:])
    if word and keyword.iskeyword(word[0]) and text[:at].rstrip().endswith("."):
        return BadExpression(at, f'"{word[0]}" cannot follow a dot', f'write ["{word[0]}"] instead')
    if any(known in message for known in ("never closed", "unterminated", "unmatched")):
        return BadExpression(at, message.partition(" (detected")[0], "close it, or remove it")
    rest = text[at:].split(maxsplit=1)
    where = f"at {rest[0][:20]!r}" if rest else "at its end"
    return BadExpression(at, f"cannot be parsed {where}", f"look for what is missing there; {_GUIDE}")


class _Reader:
    """Converts Python's nodes to ours, and refuses all others."""

    def __init__(self, text: str, begins: int) -> None:
        self._text = text
        self._begins = begins
        self._bytes = text[begins:].encode()

    def _at(self, node: ast.expr) -> int:
        return self._begins + len(self._bytes[: node.col_offset].decode())

    def _source(self, node: ast.expr) -> str:
        return self._bytes[node.col_offset : node.end_col_offset].decode()

    def _bad(self, node: ast.expr, cause: str, remedy: str = _GUIDE) -> BadExpression:
        return BadExpression(self._at(node), cause, remedy)

    def node(self, node: ast.expr, depth: int) -> Node:  # noqa: PLR0911 - one return per kind of node
        if depth > MAX_DEPTH:
            raise self._bad(node, f"is nested more than {MAX_DEPTH} deep", "nest it less")
        depth += 1
        match node:
            case ast.BoolOp(op, values):
                return Both(isinstance(op, ast.And), tuple(self.node(value, depth) for value in values))
            case ast.UnaryOp(ast.Not(), part):
                return Unary("not", self.node(part, depth))
            case ast.UnaryOp(ast.USub(), part):
                return Unary("-", self.node(part, depth))
            case ast.Compare():
                return self._compare(node, depth)
            case ast.BinOp(left, ast.BitOr(), right):
                return self._pipe(left, right, depth)
            case ast.BinOp(left, ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as op, right):
                sides = (self._counts(left, depth), self._counts(right, depth))
                return Binary(_SIGNS[type(op)], *sides)
            case ast.Call(ast.Attribute(value, word), arguments, keywords) if word in TEXT_TESTS:
                return self._text_test(node, value, word, arguments, bool(keywords), depth)
            case ast.Constant() | ast.List() | ast.Tuple():
                return Literal(self._literal(node))
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self._field_path(node)
        raise self._refused(node)

    def _counts(self, place: ast.expr, depth: int) -> Node:
        """Return an operand of a calculation. A literal that is not a number could never be one."""
        operand = self.node(place, depth)
        if isinstance(operand, Literal) and not is_number(operand.value):
            raise self._bad(place, "calculations need numbers", "write a number, or a path to one")
        return operand

    def _refused(self, node: ast.expr) -> BadExpression:
        shown = self._source(node)
        shown = shown if len(shown) <= 40 else f"{shown[:40]}…"
        if isinstance(node, ast.Call):
            known = f"text has .{'(), .'.join(TEXT_TESTS)}(), anything | {', | '.join(CONVERT)}"
            return self._bad(node, f"{shown} is not a method of filters", known)
        return self._bad(node, f"{shown} is not possible in a filter")

    def _compare(self, node: ast.Compare, depth: int) -> Node:
        operands = [node.left, *node.comparators]
        if any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
            return self._is(node, depth)
        nodes = [self.node(operand, depth) for operand in operands]
        for place, left, right in zip(operands[1:], nodes, nodes[1:], strict=False):
            self._refuse_never(place, left, right)
        pairs = [
            Binary(_SIGNS[type(op)], left, right)
            for op, left, right in zip(node.ops, nodes, nodes[1:], strict=False)
        ]
        return pairs[0] if len(pairs) == 1 else Both(True, tuple(pairs))

    def _refuse_never(self, place: ast.expr, left: Node, right: Node) -> None:
        """Refuse ``entity == 42``, which is never true: the event's own fields are text."""
        for path, literal in ((left, right), (right, left)):
            if isinstance(path, FieldPath) and path.root in _ALWAYS_TEXT and isinstance(literal, Literal):
                value = literal.value
                if isinstance(value, int | Decimal) and not isinstance(value, bool):
                    raise self._bad(place, f"{path.text} is text, never a number", f'write "{value}"')

    def _is(self, node: ast.Compare, depth: int) -> Node:
        """Return the node of ``is defined``, ``is none``, or a negation of these."""
        right, op = node.comparators[0], node.ops[0]
        word = right.id if isinstance(right, ast.Name) else None
        if isinstance(right, ast.Constant) and right.value is None:
            word = "none"
        if len(node.ops) > 1 or word not in ("defined", "none"):
            raise self._bad(right, "after is, only defined or none is possible", "compare with ==")
        part = self.node(node.left, depth)
        test: Node
        if word == "none":
            test = Binary("==", part, Literal(None))
        elif isinstance(part, FieldPath):
            test = Unary("defined", part)
        else:
            raise self._bad(node.left, "only a path can be defined", "write a path such as data.amount")
        return Unary("not", test) if isinstance(op, ast.IsNot) else test

    def _pipe(self, left: ast.expr, right: ast.expr, depth: int) -> Node:
        word = right.id if isinstance(right, ast.Name) else None
        if word not in CONVERT:
            shown = self._source(right)[:40]
            raise self._bad(right, f"{shown} cannot follow |", _choice(word or "", tuple(CONVERT)))
        if isinstance(left, ast.BinOp) and not isinstance(left.op, ast.BitOr):
            # Jinja2 binds | more tightly than Python: readers must not need to remember that
            raise self._bad(
                left, "a calculation cannot precede |", "convert its parts, such as data.a | number"
            )
        return Unary(word, self.node(left, depth))

    def _text_test(
        self, node: ast.Call, value: ast.expr, word: str, arguments: list[ast.expr], named: bool, depth: int
    ) -> Node:
        part = arguments[0] if len(arguments) == 1 and not named else None
        if not isinstance(part, ast.Constant) or not isinstance(part.value, str):
            raise self._bad(node, f"{word} takes one literal text", f'write .{word}("the beginning or end")')
        return Binary(word, self.node(value, depth), Literal(part.value))

    def _literal(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(bool() | None | str() as value):
                return value
            case ast.Constant(int() as value) if value < 10**_MOST_DIGITS:
                return value
            case ast.Constant(float()):
                written = self._source(node)
                if len(written) <= _MOST_DIGITS:
                    return Decimal(written)
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value) as inner) if (
                value is not True
            ):
                return -self._literal(inner)
            case ast.Name(name) if name in _WORDS:
                return _WORDS[name]
            case ast.List(items) | ast.Tuple(items):
                return [self._literal(item) for item in items]
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            raise self._bad(node, f"a number of more than {_MOST_DIGITS} digits", "write a shorter one")
        if isinstance(node, ast.Constant):
            raise self._refused(node)
        raise self._bad(node, "a list may contain only literal values", 'such as ["EUR", "USD"]')

    def _field_path(self, node: ast.expr) -> Node:
        steps: list[str | int] = []
        place = node
        while not isinstance(place, ast.Name):
            match place:
                case ast.Attribute(inner, name):
                    steps.append(name)
                case ast.Subscript(inner, index):
                    steps.append(self._step(index))
                case _:
                    raise self._bad(place, "only the event's own fields may have a dot or [ ]")
            place = inner
        if place.id in _WORDS and not steps:
            return Literal(_WORDS[place.id])
        if place.id not in NAMES:
            raise self._bad(place, f'there is no "{place.id}" here', _suggest(place.id))
        return FieldPath(place.id, tuple(reversed(steps)), self._source(node), self._at(node))

    def _step(self, index: ast.expr) -> str | int:
        match index:
            case ast.Constant(str() as key):
                return key
            case ast.Constant(int() as number) if not isinstance(number, bool):
                return number
            case ast.UnaryOp(ast.USub(), ast.Constant(int() as number)) if not isinstance(number, bool):
                return -number
        raise self._bad(index, "only a text or a whole number may be between [ ]")


def _suggest(name: str) -> str:
    if name in ("null", "nil", "undefined"):
        return "write none"
    if name in ("payload", "body", "event", "value"):
        return "the payload is data, as in data.amount"
    if matches := get_close_matches(name.lower(), NAMES, n=1, cutoff=0.6):
        return f"did you mean {matches[0]}?"
    names = ", ".join(NAMES)
    return f"did you mean data.{name}? Fields of the payload are under data; the event has {names}"


def _choice(word: str, words: tuple[str, ...]) -> str:
    matches = get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean {matches[0]}?" if matches else f"the words are {', '.join(words)}"
