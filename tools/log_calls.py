"""Read from the source what each log event contains: its meaning, its levels and its fields.

The meaning is the docstring below the constant. Levels and fields come from every call in bridge/ that names
the constant, directly or through a function that takes the event as an argument.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tools.markdown import ROOT

EVENTS = ROOT / "bridge" / "telemetry" / "events"
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
_LOGS = re.compile(r"\bevents\.[A-Z]|log\.(?:debug|info|warning|error|exception)\(")
"""What a module has that logs; the others need not be parsed."""
_UNSEEN_FIELDS = {
    "CONTROL_IGNORED": ("endpoint", "event_types"),
    "DELIVERY_ATTEMPTED": ("endpoint", "verdict"),
    "LOG_LOST": ("lines",),
}
"""Fields that the calls add by other means: a computed name, a logger with bound fields."""
_UNSEEN_LEVELS = {"DELIVERY_ATTEMPTED": "info", "LOG_LOST": "error"}
"""Levels of lines that are written without structlog: successes in batches, and the line about lost lines."""


@dataclass(slots=True)
class LogEvent:
    """One constant of ``events``, and what the calls that log it give."""

    name: str
    text: str
    levels: set[str] = field(default_factory=set)
    fields: dict[str, None] = field(default_factory=dict)


def read_events() -> dict[str, LogEvent]:
    """Read the constants, and from the calls their levels and fields.

    Raises ``LookupError`` if nothing logs one of them.
    """
    texts = {path: path.read_text("utf-8") for path in sorted((ROOT / "bridge").rglob("*.py"))}
    constants = [ast.parse(text) for path, text in texts.items() if path.parent == EVENTS]
    events = {name: event for tree in constants for name, event in _constants(tree)}
    trees = {
        path: ast.parse(text) for path, text in texts.items() if path.parent != EVENTS and _LOGS.search(text)
    }
    functions = {function.name: function for tree in trees.values() for function in _functions(tree)}
    for tree in trees.values():
        in_reach = functions | {function.name: function for function in _functions(tree)}
        for function in [tree, *_functions(tree)]:
            for call in _own_calls(function):
                for constant in filter(None, map(_constant, _arguments(call))):
                    _note(events[constant], call, function, in_reach)
    for function in functions.values():
        for constant, parameter in _defaults(function):
            _note_writer(events[constant], function, parameter, functions)
    for constant, event in events.items():
        event.fields |= dict.fromkeys(_UNSEEN_FIELDS.get(constant, ()))
        if constant in _UNSEEN_LEVELS:
            event.levels.add(_UNSEEN_LEVELS[constant])
        if not event.levels:
            raise LookupError(f"no call in bridge/ logs events.{constant}: delete the constant or log it")
    return events


def _constants(tree: ast.Module) -> Iterator[tuple[str, LogEvent]]:
    for node, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        assert isinstance(node.value, ast.Constant), "an event's name is a literal"
        text = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            text = str(following.value.value)
        yield node.target.id, LogEvent(str(node.value.value), text)


def _note(
    event: LogEvent, call: ast.Call, function: ast.AST, functions: Mapping[str, ast.FunctionDef]
) -> None:
    """Add the level and the fields of one call that names the event."""
    event.fields |= dict.fromkeys(_keywords(call, function, functions))
    level = _level(call)
    if level is not None:
        event.levels.add(level)
        return
    writer = functions.get(_called(call))
    if writer is None:
        return
    position = next(number for number, argument in enumerate(_arguments(call)) if _constant(argument))
    parameters = [argument.arg for argument in [*writer.args.args, *writer.args.kwonlyargs]]
    keyword = next((word.arg for word in call.keywords if _constant(word.value)), None)
    offset = 1 if parameters[:1] == ["self"] else 0
    _note_writer(event, writer, keyword or parameters[position + offset], functions)


def _note_writer(
    event: LogEvent, writer: ast.FunctionDef, parameter: str, functions: Mapping[str, ast.FunctionDef]
) -> None:
    """Add what a function that takes the event as an argument logs with it."""
    for call in _own_calls(writer):
        if call.args and isinstance(call.args[0], ast.Name) and call.args[0].id == parameter:
            level = _level(call)
            if level is not None:
                event.levels.add(level)
                event.fields |= dict.fromkeys(_keywords(call, writer, functions))


def _keywords(call: ast.Call, function: ast.AST, functions: Mapping[str, ast.FunctionDef]) -> Iterator[str]:
    """Yield the fields of a call: its keywords, and the keys of a dictionary that it unpacks."""
    for keyword in call.keywords:
        if keyword.arg is not None:
            if _constant(keyword.value) is None:
                yield keyword.arg
        elif isinstance(keyword.value, ast.Name):
            yield from _keys_of(function, keyword.value.id, functions)


def _keys_of(function: ast.AST, variable: str, functions: Mapping[str, ast.FunctionDef]) -> Iterator[str]:
    """Yield the keys of the dictionary that a function assigns to a variable."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == variable for target in node.targets
        ):
            yield from _keys(node.value, functions)


def _keys(value: ast.expr | None, functions: Mapping[str, ast.FunctionDef]) -> Iterator[str]:
    """Yield the keys of a dictionary, and of those that it unpacks from a function's return value."""
    if not isinstance(value, ast.Dict):
        return
    for key, inner in zip(value.keys, value.values, strict=True):
        if isinstance(key, ast.Constant):
            yield str(key.value)
        elif isinstance(inner, ast.Call) and (called := functions.get(_called(inner))) is not None:
            for node in ast.walk(called):
                if isinstance(node, ast.Return):
                    yield from _keys(node.value, functions)


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node  # type: ignore[misc] # both have the fields used here, but no common class in ast


def _own_calls(scope: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of a function, or of a module, outside of the functions in it."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from _own_calls(node)


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _constant(node: ast.expr) -> str | None:
    """Return the name of a constant of ``events``, written ``events.NAME``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "events":
        return node.attr if node.attr.isupper() else None
    return None


def _defaults(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """Yield the events that are defaults of a parameter, with its name."""
    arguments = function.args
    pairs = [*zip(reversed(arguments.args), reversed(arguments.defaults), strict=False)]
    pairs += [
        (name, value)
        for name, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if value
    ]
    for argument, value in pairs:
        if (constant := _constant(value)) is not None:
            yield constant, argument.arg


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _level(call: ast.Call) -> str | None:
    """Return the level of a call on a logger, None for any other call."""
    function = call.func
    if not isinstance(function, ast.Attribute):
        return None
    owner = (
        function.value.attr
        if isinstance(function.value, ast.Attribute)
        else getattr(function.value, "id", "")
    )
    return LEVELS.get(function.attr) if owner.endswith("log") else None
