"""Decode JSON values that have a JSON Schema in a registry: the schema's title names the type.

The value is not validated again: its producer has validated it.
"""

from __future__ import annotations

from typing import Any

import orjson

from bridge.errors import DecodeError
from bridge.formats import CHECK_PRODUCER
from bridge.formats.exact_json import loads
from bridge.formats.schema_cache import DecodedValue, Frame


class JsonSchema:
    """One JSON Schema. Only its ``title`` is used, as the name of the type."""

    def __init__(self, definition: Any) -> None:
        title = definition.get("title") if isinstance(definition, dict) else None
        self.name = title if isinstance(title, str) and title else None

    def read(self, frame: Frame, place: str) -> DecodedValue:
        """Parse the value. Raises ``DecodeError``."""
        try:
            return DecodedValue(self.name, loads(frame.payload))
        except orjson.JSONDecodeError as exc:
            raise DecodeError(
                place,
                f"the schema with {frame.key} is a JSON Schema, but the value is not JSON: {exc}",
                CHECK_PRODUCER,
            ) from exc
