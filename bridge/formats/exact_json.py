"""Parse JSON without losing a digit of any number.

orjson reads fractions, and integers beyond 64 bits, as doubles, which keep only 15 digits for certain. It
reads 1e-400 as 0 and refuses 1e999. A number that a double cannot hold exactly is kept as its text.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from bridge.model import ExactNumber

_ALWAYS_EXACT = 16  # characters of a fraction: a point and 15 digits
_LONG = b"0" * _ALWAYS_EXACT
_SMALL = b"0e-000"
"""An exponent of three digits: below 1e-307 a double has fewer digits, and then none."""
_SHAPES = bytes(
    ord({"e": "e", "E": "e", "-": "-"}.get(char, "0" if char in "0123456789." else " "))
    for char in map(chr, range(256))
)
_NODES = (dict, list)
_BYTES_PER_NODE = 400
"""Looking at the members of an object or a list takes as long as looking at so many bytes."""
_OUT_OF_RANGE = "infinity"
"""In orjson's message for a number beyond a double; it refuses the whole document."""


def loads(value: bytes) -> Any:
    """Parse JSON. Raises ``orjson.JSONDecodeError``.

    A double returns every number of up to 15 digits, so a value without 16 digits in a row is parsed once.
    Others that contain a fraction are parsed again by the slower standard library, which passes the digits.
    """
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as exc:
        return _loads_refused(value, exc)
    size = len(value)
    few = size // _BYTES_PER_NODE
    if few and not _may_hold_float(document, few):  # the quicker test if most of the value are long texts
        return document
    shape = value.translate(_SHAPES)
    # not `in`: for bytes it raises and drops a TypeError first, which takes longer than the search
    if (shape.find(_LONG) < 0 and shape.find(_SMALL) < 0) or not _may_hold_float(document, size + 1):
        return document
    return _loads_exact(value, orjson.JSONDecodeError("nested too deep", "", 0))


def loads_text(text: str) -> Any:
    """Parse JSON that is text already. Raises ``orjson.JSONDecodeError``."""
    try:
        return loads(text.encode())
    except UnicodeEncodeError as exc:
        raise orjson.JSONDecodeError("half a surrogate pair", text, exc.start) from exc


def _loads_refused(value: bytes, refusal: orjson.JSONDecodeError) -> Any:
    """Parse what orjson refused if that was because of a number. Raises ``refusal`` otherwise.

    orjson has not looked at what follows that number, and the standard library accepts half a surrogate pair.
    """
    if _OUT_OF_RANGE not in refusal.msg:
        raise refusal
    document = _loads_exact(value, refusal)
    if value.find(b"\\u") >= 0:
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            text = value.decode()
            raise orjson.JSONDecodeError("half a surrogate pair", text, text.lower().find("\\ud")) from None
        except RecursionError:
            raise orjson.JSONDecodeError("nested too deep", "", 0) from None
    return document


def _loads_exact(value: bytes, refusal: orjson.JSONDecodeError) -> Any:
    """Parse with the standard library. Raises ``refusal`` for what it cannot parse either."""
    try:
        return json.loads(value.decode(), parse_float=_fraction, parse_int=_integer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise refusal from None


def _refuse(constant: str) -> Any:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError(constant)


def _may_hold_float(document: Any, most_nodes: int) -> bool:
    """Return True if a float is in it, or if it has more objects and lists than that.

    Members are looked at by their types, all of a node at once.
    """
    nodes = [document if type(document) in _NODES else [document]]
    for node in nodes:
        if len(nodes) > most_nodes:
            return True
        values = node.values() if type(node) is dict else node
        kinds = {*map(type, values)}
        if float in kinds:
            return True
        if dict in kinds or list in kinds:
            nodes += [value for value in values if type(value) in _NODES]  # which this loop reaches in turn
    return False


def _fraction(text: str) -> float:
    number = float(text)
    if len(text) <= _ALWAYS_EXACT and "e" not in text and "E" not in text:
        return number
    try:
        is_same = Decimal(text) == Decimal(repr(number))
    except InvalidOperation:  # an exponent beyond that of a decimal
        is_same = False
    return number if is_same else ExactNumber(text)


def _integer(text: str) -> int | ExactNumber:
    if len(text) < 19 or (len(text) <= 20 and -(2**63) <= int(text) < 2**64):
        return int(text)
    return ExactNumber(text)
