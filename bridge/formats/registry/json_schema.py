"""JSON values that a registry knows a JSON Schema for: the schema gives the name, the value is plain JSON.

Below the registry formats in step 2. Rule floor, pure. The value is not validated again: its producer did.
"""

from __future__ import annotations

from typing import Any

import orjson

from bridge.errors import DecodeError
from bridge.formats.exact_json import loads
from bridge.formats.schema_cache import Frame, Reading


class JsonSchema:
    """One JSON Schema, of which only the ``title`` matters here: it names the type."""

    def __init__(self, definition: Any) -> None:
        title = definition.get("title") if isinstance(definition, dict) else None
        self.name = title if isinstance(title, str) and title else None

    def read(self, frame: Frame, place: str) -> Reading:
        """Parse a value. Raises ``DecodeError``."""
        try:
            return Reading(self.name, loads(frame.payload))
        except orjson.JSONDecodeError as exc:
            raise DecodeError(
                place,
                f"the schema with {frame.key} is a JSON Schema, and the bytes are not JSON: {exc}",
                "the record is damaged or was not written by the schema it names; look at its producer",
            ) from exc
