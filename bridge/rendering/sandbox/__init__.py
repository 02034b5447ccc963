"""Compile the operator's templates once, and run them in bounded time and memory.

A ``Program`` renders plain values (text, numbers, lists, mappings) to text. ``language`` restricts the
syntax, ``environment`` the operations, ``filters`` the calls, and ``budget`` the work of one run.
``quotes`` finds values outside quotes in JSON, ``places`` inserts values, and ``values`` defines missing and
escaped ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from types import TracebackType
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, UndefinedError, meta
from jinja2.runtime import new_context

from bridge.errors import RenderError
from bridge.model import FieldSet
from bridge.rendering.sandbox.budget import Budget, BudgetExceeded
from bridge.rendering.sandbox.environment import Environment
from bridge.rendering.sandbox.filters import charged, number
from bridge.rendering.sandbox.filters import filters as common_filters
from bridge.rendering.sandbox.language import restrict
from bridge.rendering.sandbox.places import Places, SyntaxPlaces
from bridge.rendering.sandbox.quotes import Quotes
from bridge.rendering.sandbox.reads import paths_read
from bridge.rendering.sandbox.syntax import JSON, XML, Syntax
from bridge.rendering.sandbox.values import Insert, JsonText, Missing, NotPossible, as_text, format_decimal

__all__ = [
    "JSON",
    "XML",
    "Insert",
    "JsonText",
    "Missing",
    "NotPossible",
    "Program",
    "Sandbox",
    "TemplateFault",
    "TemplateMistake",
    "as_text",
    "format_decimal",
    "number",
]

MAX_SOURCE_CHARS = 65_536
_FAULTS = (
    TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError,
    MemoryError, NotPossible, BudgetExceeded,
)  # fmt: skip
"""Exceptions that a template's expressions can cause. Any other exception is a bug in this package."""


class TemplateMistake(Exception):
    """A template that cannot be compiled: line (from 1), cause and remedy."""

    def __init__(self, line: int, cause: str, remedy: str) -> None:
        super().__init__(f"line {line}: {cause}; {remedy}")
        self.line = line
        self.cause = cause
        self.remedy = remedy


class TemplateFault(RenderError):
    """A template that failed for an event: its name, line and cause, never a value.

    ``missing``: the only cause is a missing value, which another event may have.
    """

    def __init__(self, name: str, line: int, cause: str, *, missing: bool) -> None:
        super().__init__(f"{name}, line {line}: {cause}" if line else f"{name}: {cause}")
        self.name = name
        self.line = line
        self.missing = missing


class Sandbox:
    """Compiles templates that share one way to insert values, the filters and the variables."""

    def __init__(
        self,
        insert: Insert,
        variables: Collection[str],
        filters: Mapping[str, Callable[..., Any]] | None = None,
        *,
        outside: Insert | None = None,
        syntax: Syntax = JSON,
    ) -> None:
        """``insert`` returns the escaped text of a value; ``filters`` extend the common ones.

        With ``outside`` the place of a value matters: ``insert`` is for values inside quotes or text, and
        ``outside`` for those that nothing encloses in this ``syntax``.
        """
        self._budget = budget = Budget()
        self._variables = frozenset(variables)
        self._syntax = syntax
        self._by_place = None if outside is None else SyntaxPlaces(insert, outside, syntax, budget)
        own = {name: charged(function, budget) for name, function in (filters or {}).items()}
        places = self._by_place or Places(insert, budget)
        self._environment = Environment(places, {**common_filters(budget), **own}, budget)

    def compile(self, source: str, name: str) -> Program:
        """Compile a template. ``name`` is its name in messages. Raises ``TemplateMistake``."""
        if len(source) > MAX_SOURCE_CHARS:
            raise TemplateMistake(1, f"is longer than {MAX_SOURCE_CHARS} characters", "make it shorter")
        environment = self._environment
        environment.expressions = {}
        self._budget.begin()
        try:
            tree = environment.parse(source)
            undeclared = meta.find_undeclared_variables(tree) - set(environment.globals)
            for unknown in sorted(undeclared - self._variables):
                raise self._unknown(unknown, source)
            reads = {name: paths_read(tree, name) for name in undeclared}  # before the tree is rewritten
            quotes = None if self._by_place is None else Quotes(tree, self._syntax)
            template = environment.from_string(restrict(tree))
        except TemplateSyntaxError as exc:
            raise _syntax(exc, [*environment.filters]) from None
        except (RecursionError, MemoryError, SyntaxError):
            raise TemplateMistake(1, "is nested too deep", "reduce the nesting") from None
        join: Callable[[Iterable[str]], str] = "".join
        if self._by_place is not None and quotes is not None and quotes.undecided:
            join = self._by_place.whole
        keys_vary = quotes is not None and quotes.keys_vary
        return Program(
            template, name, reads, self._budget, join, environment.expressions, keys_vary=keys_vary
        )

    def _unknown(self, name: str, source: str) -> TemplateMistake:
        line = next((n for n, text in enumerate(source.splitlines(), 1) if name in text), 1)
        near = get_close_matches(name, self._variables, n=1)
        guess = f'did you mean "{near[0]}"?' if near else f"use {', '.join(sorted(self._variables))}"
        return TemplateMistake(line, f'there is no "{name[:80]}"', guess)


def _syntax(exc: TemplateSyntaxError, filters: list[str]) -> TemplateMistake:
    cause = (exc.message or "cannot be read").rstrip(".")
    cause = f"{cause[:1].lower()}{cause[1:]}"
    if cause.startswith("no filter named"):
        known = sorted(name for name in filters if name.isalpha() or "_" in name)
        near = get_close_matches(cause.split("'")[1], known, n=1)
        remedy = f'did you mean "{near[0]}"?' if near else f"use {', '.join(known)}"
    else:
        remedy = "see docs/how-to/templates.md"
    return TemplateMistake(exc.lineno or 1, cause, remedy)


class Program:
    """A compiled template.

    ``reads`` are the variables it uses, and what it reads of each. ``keys_vary``: in JSON, a value may be
    part of a key.
    """

    def __init__(
        self,
        template: Template,
        name: str,
        reads: Mapping[str, FieldSet],
        budget: Budget,
        join: Callable[[Iterable[str]], str],
        expressions: Mapping[int, str],
        *,
        keys_vary: bool,
    ) -> None:
        """``join`` combines what the template yields; ``expressions`` are by lines of the compiled code."""
        self.reads = reads
        self.keys_vary = keys_vary
        self._join = join
        self._expressions = expressions
        self._name = name
        self._template = template
        self._budget = budget
        self._run = template.root_render_func
        self._environment = template.environment
        self._globals = dict(template.globals)

    def run(self, values: Mapping[str, Any]) -> str:
        """Render the text for these values.

        Raises ``TemplateFault`` with the template's name and the line, never a value.
        """
        self._budget.begin()
        try:
            context = new_context(
                self._environment, None, self._template.blocks, {**self._globals, **values}, shared=True
            )
            return self._join(self._run(context))
        except _FAULTS as exc:
            missing = isinstance(exc, UndefinedError)
            line, expression = self._place(exc)
            cause = _cause(exc)
            if isinstance(exc, NotPossible) and expression:
                cause = f"{{{{ {expression} }}}}: {cause}"
            raise TemplateFault(self._name, line, cause, missing=missing) from exc
        finally:
            self._budget.end()

    def _place(self, exc: BaseException) -> tuple[int, str]:
        """Return the line of the template that raised the exception, and its ``{{ … }}``, if it is one."""
        frame: TracebackType | None = exc.__traceback__
        line, expression = 0, ""
        while frame is not None:
            if frame.tb_frame.f_globals is self._run.__globals__:
                line = self._template.get_corresponding_lineno(frame.tb_lineno)
                expression = self._expressions.get(frame.tb_lineno, "")
            frame = frame.tb_next
        return line, expression


def _cause(exc: Exception) -> str:
    """Describe the failure without any of the event's data."""
    if isinstance(exc, NotPossible | UndefinedError):
        return str(exc)
    if isinstance(exc, BudgetExceeded):
        return f"the template was stopped: {exc}"
    if isinstance(exc, RecursionError | MemoryError):
        return "the template was stopped: it is nested too deep"
    if isinstance(exc, TypeError):
        return f"values do not fit together ({exc})"[:300]
    if isinstance(exc, ArithmeticError):
        return f"the calculation has no result ({type(exc).__name__})"
    return "a value does not have the required form"
