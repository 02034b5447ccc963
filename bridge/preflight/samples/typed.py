"""Give the JSON data of a sample the types that its Avro schema declares, as the decoder does. Pure.

Invariant: a value that a decoder could never produce is refused with its path, and never passed on.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any

_EXACT = Context(prec=20_000, Emax=MAX_EMAX, Emin=MIN_EMIN)
_MOST_DIGITS = 10_000
"""Digits of a number that is read: a sample such as 1e999999999 would take all memory."""

Named = Mapping[str, Any]
"""Full name to definition, for every named type that a schema uses."""


class MisfitError(ValueError):
    """A value that does not have the type of its schema: its ``path`` and the ``cause``."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(f"{path} {cause}")
        self.path = path


def read_as(value: Any, kind: Any, named: Named, path: str = "data") -> Any:  # noqa: PLR0911 - one per kind of type
    """Return the value as the decoder of this type produces it. Raises ``MisfitError``.

    Fields that the schema does not have stay as they are, and fields that are missing stay missing: a
    sample need not be complete.
    """
    if isinstance(kind, list):
        return _member(value, kind, named, path)
    name = kind["type"] if isinstance(kind, dict) else kind
    if isinstance(name, dict | list):
        return read_as(value, name, named, path)
    if isinstance(kind, dict) and kind.get("logicalType") == "decimal" and name in ("bytes", "fixed"):
        return _decimal(value, int(kind.get("scale", 0)), path)
    if name == "record":
        return _record(value, kind, named, path)
    if name == "array":
        _require(value, list, path, "a list")
        return [read_as(item, kind["items"], named, f"{path}[{at}]") for at, item in enumerate(value)]
    if name == "map":
        _require(value, dict, path, "a mapping")
        return {key: read_as(item, kind["values"], named, f"{path}.{key}") for key, item in value.items()}
    if name == "enum":
        if value not in kind["symbols"]:
            raise MisfitError(path, f"is none of {', '.join(map(str, kind['symbols'][:20]))}")
        return value
    if name == "fixed":
        return _binary(value, path, kind["size"])
    if name in _PRIMITIVES:
        return _PRIMITIVES[name](value, path)
    return read_as(value, named[name], named, path)


def _member(value: Any, members: list[Any], named: Named, path: str) -> Any:
    """Return the value as the first member of a union that fits."""
    if value is None and "null" in members:
        return None
    misfits = []
    for member in members:
        if member == "null":
            continue
        try:
            return read_as(value, member, named, path)
        except MisfitError as exc:
            misfits.append(exc)
    raise max(misfits, key=lambda misfit: len(misfit.path), default=MisfitError(path, "is not null"))


def _record(value: Any, kind: dict[str, Any], named: Named, path: str) -> dict[str, Any]:
    _require(value, dict, path, "a mapping")
    types = {field["name"]: field["type"] for field in kind["fields"]}
    return {
        key: read_as(item, types[key], named, f"{path}.{key}") if key in types else item
        for key, item in value.items()
    }


def _require(value: Any, type_: type, path: str, words: str) -> None:
    if not isinstance(value, type_):
        raise MisfitError(path, f"is not {words}")


def _number(value: Any, path: str) -> Decimal:
    """Return an exact number, also from text: JSON producers write money as text."""
    text = value if isinstance(value, str) else str(value)
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise InvalidOperation
        number = Decimal(text)
    except (InvalidOperation, ValueError):
        raise MisfitError(path, "is not a number") from None
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS or len(text) > _MOST_DIGITS:
        raise MisfitError(path, "is not a number that a decimal can hold")
    return number


def _decimal(value: Any, scale: int, path: str) -> Decimal:
    unscaled = _number(value, path).scaleb(scale, _EXACT)
    if unscaled != unscaled.to_integral_value(context=_EXACT):
        raise MisfitError(path, f"has more than {scale} decimal places")
    return Decimal(int(unscaled)).scaleb(-scale, _EXACT)


def _integer(value: Any, path: str) -> int:
    number = _number(value, path)
    if number != number.to_integral_value(context=_EXACT):
        raise MisfitError(path, "is not a whole number")
    return int(number)


def _float(value: Any, path: str) -> float:
    return float(value) if isinstance(value, float) else float(_number(value, path))


def _boolean(value: Any, path: str) -> bool:
    _require(value, bool, path, "true or false")
    return bool(value)


def _text(value: Any, path: str) -> str:
    _require(value, str, path, "text; put it in quotes")
    return str(value)


def _bytes(value: Any, path: str) -> bytes:
    return _binary(value, path, None)


def _binary(value: Any, path: str, size: int | None) -> bytes:
    """Return the bytes of base64 text, which is how JSON bodies show them."""
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise MisfitError(path, "is not bytes, written as base64") from None
    if size is not None and len(raw) != size:
        raise MisfitError(path, f"has {len(raw)} bytes, and must have {size}")
    return raw


def _null(value: Any, path: str) -> None:
    if value is not None:
        raise MisfitError(path, "is not null")


_PRIMITIVES: dict[str, Callable[[Any, str], Any]] = {
    "string": _text,
    "int": _integer,
    "long": _integer,
    "float": _float,
    "double": _float,
    "boolean": _boolean,
    "bytes": _bytes,
    "null": _null,
}
