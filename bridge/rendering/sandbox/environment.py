"""The operations of template expressions: read plain values, calculate with numbers, call macros.

A dot or bracket only looks up a mapping or list. That is safe, because no attribute of a Python object can
be reached, and fast: Jinja2's own sandbox calls ``is_safe_attribute`` each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

from jinja2 import Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from bridge.model import ExactNumber
from bridge.rendering.sandbox.budget import Budget, BudgetExceeded
from bridge.rendering.sandbox.expressions import source_of
from bridge.rendering.sandbox.filters import tests
from bridge.rendering.sandbox.language import (
    BUILT,
    CHARGE,
    COMPARED,
    CONCAT,
    LOOP_CALLS,
    LOOP_OVER,
    SEARCHED,
    SLICED,
    UNESCAPE,
)
from bridge.rendering.sandbox.places import Places, SyntaxPlaces
from bridge.rendering.sandbox.quotes import BARE, UNDECIDED
from bridge.rendering.sandbox.values import Missing, NotPossible, as_text, describe_kind

_LOOP = LOOP_CALLS | {
    "index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem",
    "nextitem",
}  # fmt: skip
_NUMBERS = frozenset({int, float, Decimal, bool})
_LONGEST_RANGE = 10_000
_MOST_BITS = 1024
_MOST_POWER = 64

TESTS = (
    "boolean", "defined", "divisibleby", "eq", "equalto", "==", "even", "false", "float", "ge", ">=",
    "greaterthan", "gt", ">", "in", "integer", "le", "<=", "lessthan", "lt", "<", "lower", "mapping", "ne",
    "!=", "none", "number", "odd", "sequence", "string", "true", "undefined", "upper",
)  # fmt: skip
"""Jinja2's tests that a template may use."""


class Environment(ImmutableSandboxedEnvironment):
    """Jinja2's immutable sandbox, narrowed to plain values and with a budget."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, places: Places, filters: Mapping[str, Callable[..., Any]], budget: Budget) -> None:
        super().__init__(
            undefined=Missing,
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=0,
            auto_reload=False,
        )
        self.code_generator_class = _Generator
        self.budget = budget
        self.places = places
        self.expressions: dict[int, str] = {}
        """The expressions of the template that was compiled last, by the line of the compiled code."""
        self.finalize = places.finalize
        if isinstance(places, SyntaxPlaces):
            self.outside, self.undecided = places.outside, places.undecided
        self.globals = {"range": self._range, "dict": self._dict, "namespace": self._namespace}
        self.filters = dict(filters)
        self.tests = tests({name: self.tests[name] for name in TESTS}, budget)

    def concat(self, parts: Iterable[str]) -> str:
        """Return the text of a macro or ``{% set %}`` block. Compiled code calls this."""
        return self.places.block(parts)

    def charge(self, chars: int) -> bool:
        """Charge one step and the constant text of a loop's or macro's body."""
        self.budget.spend(1, chars)
        return True

    def compared(self, value: Any) -> Any:
        """Charge for an operand of a comparison, and return it."""
        self.budget.read(value)
        return value

    def searched(self, value: Any) -> Any:
        """Charge for what ``in`` searches, and return it; a look-up in a mapping costs nothing."""
        if type(value) is not dict:
            self.budget.read(value)
        return value

    def built(self, value: Any) -> Any:
        """Charge for a list or mapping that the template contains, and return it."""
        self.budget.create(value)
        return value

    def sliced(self, value: Any) -> Any:
        """Charge for a slice, and return it; the items of a list are not copied."""
        self.budget.spend(1, len(value) * (1 if isinstance(value, str) else 8))
        return value

    def unescaped(self, value: Any) -> Any:
        """Return the plain text of a value that is text, and other values unchanged."""
        return as_text(value) if isinstance(value, str) else value

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return ``obj.attribute``, or the same with a constant name in brackets: the item of a mapping."""
        if type(obj) is dict:
            try:
                return obj[attribute]
            except KeyError:
                return Missing(obj=obj, name=attribute)
        return self._of_others(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return ``obj[argument]``: the item of a mapping, list or text with a computed key.

        The key may be a value of the event, so no message contains it.
        """
        kind = type(obj)
        if kind is dict or kind is list or kind is tuple or kind is str:
            try:
                return obj[argument]
            except LookupError:
                return Missing(hint=f"{describe_kind(obj)} has no item with that key")
            except TypeError:
                kinds = f"{describe_kind(obj)} has no keys of this kind: {describe_kind(argument)}"
                raise NotPossible(kinds) from None
        if isinstance(obj, Undefined):
            return obj
        return Missing(hint=f"{describe_kind(obj)} has no items")

    def _of_others(self, obj: Any, name: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj
        if type(obj) is LoopContext and name in _LOOP:
            return getattr(obj, name)
        if type(obj) is Namespace and isinstance(name, str) and not name.startswith("_"):
            try:
                return getattr(obj, name)
            except AttributeError:
                return Missing(name=name)
        return Missing(hint=f'{describe_kind(obj)} has no "{str(name)[:80]}"', name=name)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a macro, ``loop.cycle``, ``range``, ``dict`` or ``namespace``; nothing else can be called."""
        budget = __self.budget
        budget.spend(1)
        if isinstance(__obj, Undefined):
            __obj()
        if type(__obj) is not Macro:
            allowed = (*__self.globals.values(),)
            bound_to = getattr(__obj, "__self__", None)
            if type(bound_to) is not LoopContext and not any(__obj == function for function in allowed):
                raise NotPossible(f"{describe_kind(__obj)} cannot be called")
            kwargs.pop("_loop_vars", None)  # compiled code adds these for Context.call
            kwargs.pop("_block_vars", None)
            return __obj(*args, **kwargs)
        if budget.depth == 0:
            raise BudgetExceeded("its macro calls are nested too deep")
        budget.depth -= 1
        try:
            return __context.call(__obj, *args, **kwargs)
        finally:
            budget.depth += 1

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate with numbers, within bounds; ``+`` also joins texts and lists."""
        left, right = (value.exact if type(value) is ExactNumber else value for value in (left, right))
        kind, other = type(left), type(right)
        if kind in _NUMBERS and other in _NUMBERS:
            if kind is int and other is int:
                _check_growth(operator, left, right)
            elif operator == "**":
                raise NotPossible("** works only with whole numbers")
            result = self.binop_table[operator](left, right)
            if type(result) is float and not isfinite(result):
                raise NotPossible(f"the result of {operator} is not finite")
            return result
        for value in (left, right):
            if isinstance(value, Undefined):
                str(value)  # raises UndefinedError
        if operator == "+":
            if isinstance(left, str) and isinstance(right, str):
                return self.places.joined([left, right])
            if kind is list and other is list:
                self.budget.spend(len(left) + len(right))
                return left + right
        hint = "; ~ joins texts" if operator == "+" else ""
        kinds = f"{describe_kind(left)} and {describe_kind(right)}"
        raise NotPossible(f"{operator} does not work with {kinds}{hint}")

    def concatenated(self, parts: list[Any]) -> str:
        """Join texts (``~``)."""
        return self.places.joined(parts)

    def over(self, value: Any) -> Any:
        """Return what a loop iterates over: a list, or the keys of a mapping; nothing for null."""
        if value is None:
            return ()
        if isinstance(value, list | tuple | dict | range):
            return value
        if isinstance(value, Undefined):
            str(value)  # raises UndefinedError
        raise NotPossible(f"a loop needs a list or a mapping, not {describe_kind(value)}")

    def _dict(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        mapping: dict[Any, Any] = dict(*args, **kwargs)
        self.budget.create(mapping)
        return mapping

    def _namespace(self, *args: Any, **kwargs: Any) -> Namespace:
        return Namespace(self._dict(*args, **kwargs))

    def _range(self, *bounds: int) -> range:
        numbers = range(*bounds)
        if len(numbers) > _LONGEST_RANGE:
            raise BudgetExceeded(f"a range has more than {_LONGEST_RANGE} numbers")
        return numbers


def _check_growth(operator: str, left: int, right: int) -> None:
    if operator == "**" and not (-_MOST_POWER <= right <= _MOST_POWER and left.bit_length() <= _MOST_POWER):
        raise BudgetExceeded(f"** has a base of more than 64 bits or an exponent above {_MOST_POWER}")
    if operator == "*" and left.bit_length() + right.bit_length() > _MOST_BITS:
        raise BudgetExceeded(f"a number has more than {_MOST_BITS} bits")


_OPERATIONS = {
    CHARGE: "charge", COMPARED: "compared", SEARCHED: "searched", BUILT: "built", SLICED: "sliced",
    UNESCAPE: "unescaped", CONCAT: "concatenated", LOOP_OVER: "over", BARE: "outside", UNDECIDED: "undecided",
}  # fmt: skip
"""The method of the environment for each internal filter node."""


class _Generator(CodeGenerator):
    """Compiles outputs so that only ``Places`` decides what is inserted, and internal filters to methods."""

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:
        operation = _OPERATIONS.get(node.name)
        if operation is None or node.node is None:
            super().visit_Filter(node, frame)
        else:
            self.write(f"environment.{operation}(")
            self.visit(node.node, frame)
            self.write(")")

    def _output_const_repr(self, group: Iterable[Any]) -> str:
        return repr("".join(group))

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        const = node.as_const(frame.eval_ctx)
        if isinstance(node, nodes.TemplateData):
            return str(const)
        text: str = finalize.const(const)
        return text

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write("(" if _is_placed(node) else "environment.finalize(")
        assert isinstance(self.environment, Environment), "only this environment uses this generator"
        self.environment.expressions[self.code_lineno] = source_of(node)

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write(")")


def _is_placed(node: nodes.Expr) -> bool:
    return isinstance(node, nodes.Filter) and node.name in {BARE, UNDECIDED}
