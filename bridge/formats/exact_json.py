"""Parse JSON without losing a digit of any number.

orjson reads fractions, and integers beyond 64 bits, as doubles, which keep only 15 digits for certain.
A number that a double cannot hold exactly is kept as its text.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson

from bridge.model import ExactNumber

_ALWAYS_EXACT = 16  # characters of a fraction: a point and 15 digits
_LONG = b"0" * _ALWAYS_EXACT
_DIGITS = bytes(ord("0") if chr(byte) in "0123456789." else ord(" ") for byte in range(256))


def loads(value: bytes | str) -> Any:
    """Parse JSON. Raises ``orjson.JSONDecodeError``.

    A double returns every number of up to 15 digits, so a value without 16 digits in a row is parsed once.
    Others that contain a fraction are parsed again by the slower standard library, which passes the digits.
    """
    document = orjson.loads(value)
    raw = value.encode() if isinstance(value, str) else value
    if _LONG not in raw.translate(_DIGITS) or not _holds_float(document):
        return document
    try:
        return json.loads(raw, parse_float=_fraction, parse_int=_integer)
    except RecursionError:
        raise orjson.JSONDecodeError("nested too deep", "", 0) from None


def _holds_float(document: Any) -> bool:
    stack = [document]
    while stack:
        node = stack.pop()
        kind = type(node)
        if kind is dict:
            stack.extend(node.values())
        elif kind is list:
            stack.extend(node)
        elif kind is float:
            return True
    return False


def _fraction(text: str) -> float:
    number = float(text)
    if len(text) <= _ALWAYS_EXACT or Decimal(text) == Decimal(repr(number)):
        return number
    return ExactNumber(text)


def _integer(text: str) -> int | ExactNumber:
    if len(text) < 19 or (len(text) <= 20 and -(2**63) <= int(text) < 2**64):
        return int(text)
    return ExactNumber(text)
