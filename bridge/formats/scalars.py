"""Read single values as the text of an event's part: its id, entity or tenant.

Invariant: two ids that differ in their JSON type or in their digits never become equal.
"""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Any

import orjson

from bridge.model import ExactNumber, IdKind, RefusedField

_NO_SCALAR = "it is neither text nor a number nor a boolean"


def scalar_text(value: Any) -> tuple[str | None, str | None]:
    """Return the text of a value and None, or None and why it has none; both are None for null.

    A number or a boolean is written as in JSON, with every digit that is known.
    """
    if value is None or isinstance(value, str):
        return value, None
    if isinstance(value, ExactNumber):
        return value.text, None
    if isinstance(value, bool | float) and (isinstance(value, bool) or isfinite(value)):
        return orjson.dumps(value).decode(), None
    if isinstance(value, int):
        return str(value), None
    if isinstance(value, Decimal):
        return format(value, "f"), None
    return None, _NO_SCALAR


def kind_of(value: Any) -> IdKind:
    """Return the JSON type of a scalar. A decimal of Avro is text in JSON."""
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "text"


def refused_entity(value: Any, cause: str) -> RefusedField:
    """Return the record that an entity was left out."""
    return RefusedField("entity", f"a value of type {type(value).__name__}", cause, "no entity")
