"""Restore the non-finite numbers that Protobuf's JSON mapping writes as text.

In the mapped document ``NaN`` may be a number or a text; only the message shows which.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

_NAMES = frozenset({"NaN", "Infinity", "-Infinity"})
_FRACTIONS = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
_WRAPPERS = ("google.protobuf.DoubleValue", "google.protobuf.FloatValue")


def restore_non_finite(document: Any, message: Any, pool: DescriptorPool) -> Any:
    """Return the document with the numbers that are not finite as floats. ``message`` is its source."""
    return _of_message(document, message, pool) if _may_have(document) else document


def _may_have(document: Any) -> bool:
    stack = [document]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, str) and node in _NAMES:
            return True
    return False


def _of_message(shown: Any, message: Any, pool: DescriptorPool) -> Any:
    name = message.DESCRIPTOR.full_name
    if name in _WRAPPERS:
        return shown if isfinite(message.value) else message.value
    if not isinstance(shown, dict):
        return shown
    if name == "google.protobuf.Any":
        return _of_any(shown, message, pool)
    for field, value in message.ListFields():
        if field.name in shown:
            shown[field.name] = _of_field(shown[field.name], field, value, pool)
    return shown


def _of_any(shown: dict[str, Any], message: Any, pool: DescriptorPool) -> Any:
    descriptor = pool.FindMessageTypeByName(message.type_url.rpartition("/")[2])
    inner = message_factory.GetMessageClass(descriptor)()
    inner.ParseFromString(message.value)
    if "value" in shown and descriptor.full_name in _WRAPPERS:
        return shown | {"value": _of_message(shown["value"], inner, pool)}
    return _of_message(shown, inner, pool)


def _of_field(shown: Any, field: FieldDescriptor, value: Any, pool: DescriptorPool) -> Any:
    if isinstance(shown, list):
        return [_of_one(entry, field, item, pool) for entry, item in zip(shown, value, strict=True)]
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        inner = field.message_type.fields_by_name["value"]
        keys = {_key(key): key for key in value}
        return {key: _of_one(entry, inner, value[keys[key]], pool) for key, entry in shown.items()}
    return _of_one(shown, field, value, pool)


def _of_one(shown: Any, field: FieldDescriptor, value: Any, pool: DescriptorPool) -> Any:
    if field.message_type is not None:
        return _of_message(shown, value, pool)
    return value if field.cpp_type in _FRACTIONS and not isfinite(value) else shown


def _key(key: Any) -> str:
    return ("true" if key else "false") if isinstance(key, bool) else str(key)
