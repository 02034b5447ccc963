"""What a template's expressions can do: look into plain values, calculate with numbers, call macros.

Below ``sandbox``. Pure. A dot or bracket is a look-up in a mapping or list and nothing else, which makes
it both safe (no attribute of any Python object can be reached) and fast (Jinja2's own sandbox asks
``is_safe_attribute`` each time).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from jinja2 import Undefined, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from bridge.model import ExactNumber
from bridge.rendering.sandbox.budget import Budget, Exceeded
from bridge.rendering.sandbox.language import CHARGE, CONCAT, LOOP_CALLS, LOOP_OVER, UNREADY
from bridge.rendering.sandbox.quotes import BARE
from bridge.rendering.sandbox.values import (
    READY,
    Insert,
    Missing,
    NotPossible,
    Ready,
    as_text,
    kind_of,
    unready,
)

_LOOP = LOOP_CALLS | {
    "index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem",
    "nextitem",
}  # fmt: skip
_NUMBERS = frozenset({int, float, Decimal, bool})
_JSON_WORD = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|true|false|null")
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

    def __init__(self, insert: Insert, filters: Mapping[str, Callable[..., Any]], budget: Budget) -> None:
        super().__init__(
            autoescape=True,  # text that a macro or {% set %} block made is Markup: not escaped again
            undefined=Missing,
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=0,
            auto_reload=False,
        )
        self.code_generator_class = _Generator
        self.budget = budget
        self._insert = insert
        self.finalize = self._finalizer()
        self.globals = {"range": self._range, "dict": dict, "namespace": Namespace}
        self.filters = {
            **filters,
            CHARGE: self._charger(),
            CONCAT: self.concatenated,
            LOOP_OVER: self._over,
            BARE: self._bare,
            UNREADY: unready,
        }
        self.tests = {name: self.tests[name] for name in TESTS}

    def _finalizer(self) -> Callable[[Any], str]:
        insert, budget, ready = self._insert, self.budget, READY

        def finalize(value: Any) -> str:
            text: str = value if type(value) in ready else insert(value)
            budget.chars = left = budget.chars - len(text)
            if left < 0:
                budget.spend()
            return text

        return finalize

    def _charger(self) -> Callable[[Context, int], bool]:
        spend = self.budget.spend

        @pass_context  # so that Jinja2 does not fold it into a constant
        def charge(_context: Context, chars: int) -> bool:
            spend(1, chars)
            return True

        return charge

    def getattr(self, obj: Any, attribute: str) -> Any:
        """``obj.attribute``, or with a name in brackets: the item of a mapping."""
        if type(obj) is dict:
            try:
                return obj[attribute]
            except KeyError:
                return Missing(obj=obj, name=attribute)
        return self._of_others(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """``obj[argument]``: the item of a mapping, list or text, at a place that was worked out.

        So the place may be a value of the event, and is not in a message.
        """
        kind = type(obj)
        if kind is dict or kind is list or kind is tuple or kind is str:
            try:
                return obj[argument]
            except LookupError:
                return Missing(hint=f"{kind_of(obj)} has nothing at that place")
            except TypeError:
                raise NotPossible(f"{kind_of(obj)} cannot be asked for {kind_of(argument)}") from None
        if isinstance(obj, Undefined):
            return obj
        return Missing(hint=f"something is asked of {kind_of(obj)}")

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
        return Missing(hint=f'"{str(name)[:80]}" is asked of {kind_of(obj)}', name=name)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """A macro, ``loop.cycle``, ``range``, ``dict`` or ``namespace``; nothing else can be called."""
        budget = __self.budget
        budget.spend(1)
        if isinstance(__obj, Undefined):
            __obj()
        if type(__obj) is not Macro:
            known = (*__self.globals.values(),)
            bound_to = getattr(__obj, "__self__", None)
            if type(bound_to) is not LoopContext and not any(__obj == one for one in known):
                raise NotPossible(f"{kind_of(__obj)} cannot be called")
            kwargs.pop("_loop_vars", None)  # what compiled code adds for Context.call
            kwargs.pop("_block_vars", None)
            return __obj(*args, **kwargs)
        if budget.depth == 0:
            raise Exceeded("its macros call one another too deep")
        budget.depth -= 1
        try:
            return __context.call(__obj, *args, **kwargs)
        finally:
            budget.depth += 1

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic, of numbers that stay within bounds; ``+`` also joins texts and lists."""
        left, right = (one.exact if type(one) is ExactNumber else one for one in (left, right))
        kind, other = type(left), type(right)
        if kind in _NUMBERS and other in _NUMBERS:
            if kind is int and other is int:
                _check_growth(operator, left, right)
            elif operator == "**":
                raise NotPossible("** works with whole numbers")
            return self.binop_table[operator](left, right)
        for one in (left, right):
            if isinstance(one, Undefined):
                str(one)
        if operator == "+":
            if isinstance(left, str) and isinstance(right, str):
                return self.concatenated([left, right])
            if kind is list and other is list:
                self.budget.spend(len(left) + len(right))
                return left + right
        hint = "; ~ joins texts" if operator == "+" else ""
        raise NotPossible(f"{operator} does not work with {kind_of(left)} and {kind_of(right)}{hint}")

    def concatenated(self, parts: list[Any]) -> str:
        """Texts joined (``~``). Where one was made by a macro, it is escaped text, and so is the result."""
        if any(type(part) in READY for part in parts):
            pieces = [part if type(part) in READY else self._insert(part) for part in parts]
            whole: str = Ready("".join(pieces))
        else:
            whole = "".join([part if type(part) is str else as_text(part) for part in parts])
        self.budget.spend(1, len(whole))
        return whole

    def _bare(self, value: Any) -> str:
        """A value that stands in JSON without quotes around it."""
        if value is None:
            return Ready("null")
        if type(value) is str and not _JSON_WORD.fullmatch(value):
            raise NotPossible("a text stands without quotes around it; put it in quotes, or add | json")
        return value if type(value) in READY else Ready(self._insert(value))

    def _over(self, value: Any) -> Any:
        """What a loop goes over: a list, the keys of a mapping; nothing for null."""
        if value is None:
            return ()
        if isinstance(value, list | tuple | dict | range):
            return value
        if isinstance(value, Undefined):
            str(value)
        raise NotPossible(f"a loop goes over lists and mappings, not over {kind_of(value)}")

    def _range(self, *bounds: int) -> range:
        made = range(*bounds)
        if len(made) > _LONGEST_RANGE:
            raise Exceeded(f"a range of more than {_LONGEST_RANGE} numbers")
        return made


def _check_growth(operator: str, left: int, right: int) -> None:
    if operator == "**" and not (-_MOST_POWER <= right <= _MOST_POWER and left.bit_length() <= _MOST_POWER):
        raise Exceeded(f"** of more than 64 bits, or to more than {_MOST_POWER}")
    if operator == "*" and left.bit_length() + right.bit_length() > _MOST_BITS:
        raise Exceeded(f"a number of more than {_MOST_BITS} bits")


class _Generator(CodeGenerator):
    """Compiles outputs so that ``finalize`` alone decides what is inserted."""

    def _output_const_repr(self, group: Iterable[Any]) -> str:
        return repr("".join(group))

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        const = node.as_const(frame.eval_ctx)
        if isinstance(node, nodes.TemplateData):
            return str(const)
        return finalize.const(const)  # type: ignore[no-any-return]

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write("environment.finalize(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write(")")
