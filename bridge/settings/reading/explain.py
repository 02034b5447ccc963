"""Translates pydantic's errors to problems with place, cause and remedy. Pure.

Pydantic's own texts are not used: they may repeat a secret value, and they describe inputs and models, not
settings.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.settings.models.base import PATTERN_REMEDIES
from bridge.settings.models.failures import PARK_LIMIT_TAGS
from bridge.settings.models.request import BODY_TAGS
from bridge.settings.models.signing import FORM_TAGS, KEY_TAGS
from bridge.settings.models.sources import SOURCE_MODELS
from bridge.settings.problem import Path, Problem, choice, nearest, printable
from bridge.settings.reading import shape
from bridge.settings.reading.tree import Tree

Texts = tuple[str, str]


def _number(context: dict[str, Any], words: str, key: str) -> Texts:
    return f"must be {words} {context[key]:g}", f"set a number that is {words} {context[key]:g}"


_BY_TYPE: dict[str, Callable[[dict[str, Any]], Texts]] = {
    "greater_than_equal": lambda c: _number(c, "at least", "ge"),
    "less_than_equal": lambda c: _number(c, "at most", "le"),
    "string_too_short": lambda c: ("is empty", "set a value, or remove the key"),
    "string_too_long": lambda c: ("is too long", f"shorten it to {c['max_length']} characters"),
    "string_unicode": lambda c: ("contains a character that is not valid Unicode", "type the value again"),
    "string_pattern_mismatch": lambda c: (
        "has characters or a length that is not allowed",
        PATTERN_REMEDIES.get(c["pattern"], "see docs/reference/configuration.md"),
    ),
    "too_short": lambda c: ("is empty", "list at least one"),
    "too_long": lambda c: (f"has more than {c['max_length']} entries", "remove some"),
    "finite_number": lambda c: ("is not a finite number", "set a number"),
    "mistake": lambda c: (c["cause"], c["remedy"]),
}
_NO_MAPPING = ("is not a mapping", "write key: value lines below it, indented")
_BY_PREFIX: tuple[tuple[str, Texts], ...] = (
    ("int_", ("is not a whole number", "use digits only")),
    ("float_", ("is not a number", "set a number such as 1.5")),
    ("bool_", ("is neither true nor false", "write true or false")),
    ("string_", ("is not text", "put the value in quotes")),
    ("path_", ("is not a path", "write the path as text")),
    ("tuple_", ("is not a list", "write it as a list: [first, second]")),
    ("dict_", _NO_MAPPING),
    ("model_", _NO_MAPPING),
)
_ENDPOINT_TAGS: dict[int | str, Collection[int | str]] = {"body": BODY_TAGS, "park_limit": PARK_LIMIT_TAGS}
_FALLBACK = ("is not valid here", "see docs/reference/configuration.md")


def explain(exc: ValidationError, tree: Tree) -> list[Problem]:
    """Translate every error, except for values that were reported already."""
    errors = exc.errors(include_url=False, include_input=False)
    located = [(_path(error["loc"]), error) for error in errors]
    intended = {(*path[:-1], guess) for path, error in located if (guess := _intended_key(path, error, tree))}
    problems = []
    for path, error in located:
        if tree.is_broken(path) or (error["type"] == "missing" and path in intended):
            continue
        if error["type"] == "too_short" and tree.get(path):
            continue  # there are entries, but each is wrong and reported itself
        problems.append(_problem(path, error, tree))
        if error["type"].startswith("union_tag"):
            problems.extend(_rest_of_source(path, tree))
    return problems


def _path(loc: tuple[int | str, ...]) -> Path:
    """Drop the tag that pydantic inserts where several types are allowed; keep ``[key]``, the last step."""
    if len(loc) > 3 and loc[0] == "sources" and loc[2] in SOURCE_MODELS:
        return (*loc[:2], *loc[3:])
    if len(loc) > 3 and loc[0] == "endpoints" and loc[3] in _ENDPOINT_TAGS.get(loc[2], ()):
        return (*loc[:3], *loc[4:])
    if len(loc) > 4 and loc[0] == "endpoints" and loc[2:4] == ("signing", "form") and loc[4] in FORM_TAGS:
        return (*loc[:4], *loc[5:])
    if len(loc) > 5 and loc[0] == "endpoints" and loc[2:4] == ("signing", "keys") and loc[5] in KEY_TAGS:
        return (*loc[:5], *loc[6:])
    return loc


def _intended_key(path: Path, error: ErrorDetails, tree: Tree) -> str | None:
    if error["type"] != "extra_forbidden":
        return None
    return nearest(str(path[-1]), _keys(path[:-1], tree))


def _keys(path: Path, tree: Tree) -> list[str]:
    """List the keys at a path; in a source, those of its format."""
    if len(path) == 2 and path[0] == "sources":
        model = SOURCE_MODELS.get(str(tree.get((*path, "format"))))
        if model is not None:
            return list(model.model_fields)
    return shape.keys(path)


def _problem(path: Path, error: ErrorDetails, tree: Tree) -> Problem:
    kind = error["type"]
    if path and path[-1] == "[key]":
        cause, remedy = _texts(error)
        return tree.problem(path[:-1], f"the name {cause}", remedy, key=True)
    if kind.startswith("union_tag"):
        return _tag(path, tree)
    if kind == "missing":
        return _missing(path, tree)
    if kind == "extra_forbidden":
        return _extra(path, tree)
    return tree.problem(path, *_value(path, error, tree))


def _tag(path: Path, tree: Tree) -> Problem:
    if not isinstance(tree.get(path), dict):
        return tree.problem(path, *_NO_MAPPING)
    path = (*path, "format")
    if not tree.has(path):
        return _missing(path, tree)
    return tree.problem(path, "is not a known format", choice(_word(path, tree), SOURCE_MODELS))


def _value(path: Path, error: ErrorDetails, tree: Tree) -> Texts:
    if error["type"] == "literal_error":
        return "is not one of the allowed values", _words(path, tree)
    if path and not tree.has(path):
        return "has no value (null)", "set a value, or remove the key"
    if error["type"].startswith("string_") and isinstance(tree.get(path), list | dict):
        return "is not text", "set one value, without brackets and without keys or - below it"
    return _texts(error)


def _missing(path: Path, tree: Tree) -> Problem:
    meaning = shape.description(path)
    remedy = f"add {path[-1]}: {meaning[:1].lower()}{meaning[1:]}" if meaning else f"add {path[-1]}"
    return Problem(tree.place(path[:-1], key=True), path, "is missing", remedy)


def _extra(path: Path, tree: Tree) -> Problem:
    keys = _keys(path[:-1], tree)
    where = ""
    if len(path) == 3 and path[0] == "sources" and path[-1] in shape.keys(path[:-1]):
        where = f" of a source with format {printable(str(tree.get((*path[:-1], 'format'))))}"
    given = tree.get(path[:-1])
    free = [key for key in keys if not (isinstance(given, dict) and key in given)] or keys
    if where:
        return tree.problem(
            path, f"is not a key{where}", f"remove it; the keys are {', '.join(keys)}", key=True
        )
    return tree.problem(path, "is not a known key", choice(str(path[-1]), free), key=True)


def _words(path: Path, tree: Tree) -> str:
    words = [
        str(word)
        for slot in shape.slots(path)
        for literal in shape.alternatives(slot.annotation)
        for word in getattr(literal, "__args__", ())
    ]
    return choice(_word(path, tree), words)


def _word(path: Path, tree: Tree) -> str:
    value = tree.get(path)
    return value if isinstance(value, str) and path not in tree.hidden else ""


def _texts(error: ErrorDetails) -> Texts:
    kind = error["type"]
    if kind in _BY_TYPE:
        return _BY_TYPE[kind](error.get("ctx", {}))
    return next((texts for prefix, texts in _BY_PREFIX if kind.startswith(prefix)), _FALLBACK)


def _rest_of_source(path: Path, tree: Tree) -> Iterator[Problem]:
    """Report unknown keys and missing topics of a source whose format is not known."""
    known = shape.keys(path)
    for name in tree.names(path):
        if name not in known:
            yield _extra((*path, name), tree)
    if isinstance(tree.get(path), dict) and not tree.has((*path, "topics")):
        yield _missing((*path, "topics"), tree)
