"""Decode Protobuf values with a file descriptor from a registry; the value names the message in it.

Descriptors are serialized; no ``.proto`` text is compiled. The JSON follows Protobuf's own mapping, with
field names as in the schema.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict

from bridge.errors import DecodeError
from bridge.formats import CHECK_PRODUCER
from bridge.formats.avro.bounds import MalformedBytes, read_long
from bridge.formats.avro.definitions import DefinitionError
from bridge.formats.schema_cache import DecodedValue, Frame

MAX_INDEXES = 32  # levels of nested messages; the compiler itself allows 100
MAX_MESSAGES = 100_000
"""Messages in one value: the mapping to JSON takes about 5 µs for each and blocks the event loop."""

_OWN = (
    any_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2,
)  # fmt: skip
_NUMBERS = {"bytes": 12, "double": 1, "int32": 5, "int64": 3, "string": 9, "uint32": 13}
_WELL_KNOWN = {  # imports that registries provide, so schemas do not include them; field numbers count from 1
    "confluent/meta.proto": ("confluent", "", {}),
    "confluent/type/decimal.proto": (
        "confluent.type", "Decimal", {"value": "bytes", "precision": "uint32", "scale": "int32"},
    ),
    "google/type/date.proto": ("google.type", "Date", {"year": "int32", "month": "int32", "day": "int32"}),
    "google/type/decimal.proto": ("google.type", "Decimal", {"value": "string"}),
    "google/type/latlng.proto": ("google.type", "LatLng", {"latitude": "double", "longitude": "double"}),
    "google/type/money.proto": (
        "google.type", "Money", {"currency_code": "string", "units": "int64", "nanos": "int32"},
    ),
}  # fmt: skip


class ProtobufSchema:
    """One file of messages and its imports, in its own descriptor pool."""

    def __init__(self, file: FileDescriptor, pool: DescriptorPool) -> None:
        self._file = file
        self._pool = pool

    def read(self, frame: Frame, place: str) -> DecodedValue:
        """Decode a value. Raises ``DecodeError``."""
        try:
            selector, data = frame.choose(frame.payload)
            descriptor = self._message(selector)
        except MalformedBytes as exc:
            raise DecodeError(
                place, f"the schema with {frame.key} is Protobuf: {exc}", CHECK_PRODUCER
            ) from exc
        try:
            message = message_factory.GetMessageClass(descriptor)()
            message.ParseFromString(data)
            if len(data) > 2 * MAX_MESSAGES and _has_more(message, MAX_MESSAGES):  # 2 bytes each
                raise MalformedBytes(f"more than {MAX_MESSAGES} messages in one value")
            document = MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=self._pool)
        except MalformedBytes as exc:
            raise DecodeError(place, f"{descriptor.full_name}: {exc}", CHECK_PRODUCER) from exc
        except Exception as exc:  # DecodeError of protobuf; TypeError or ValueError from its JSON mapping
            cause = (
                f"{descriptor.full_name}: the bytes do not follow the schema ({type(exc).__name__}: {exc})"
            )
            raise DecodeError(place, cause[:500], CHECK_PRODUCER) from exc
        return DecodedValue(descriptor.full_name, document)

    def _message(self, selector: tuple[int, ...] | str) -> Descriptor:
        """Return the message at indexes, or with a name, full or short; an empty name selects the first."""
        top = list(self._file.message_types_by_name.values())
        if isinstance(selector, str):
            by_name: dict[str, Descriptor] = {}
            for message in _with_nested(top):
                by_name.setdefault(message.name, message)
                by_name[message.full_name] = message
            if selector and selector not in by_name:
                raise MalformedBytes(f"it has no message {selector[:80]!r}")
            if not top:
                raise MalformedBytes("it has no messages")
            return by_name[selector] if selector else top[0]
        messages, chosen = top, None
        for index in selector:
            if not 0 <= index < len(messages):
                raise MalformedBytes(f"it has no message at {list(selector)}")
            chosen = messages[index]
            messages = list(chosen.nested_types)
        if chosen is None:
            raise MalformedBytes("it has no message at []")
        return chosen


def message_indexes(data: bytes) -> tuple[tuple[int, ...], bytes]:
    """Read Confluent's message indexes; return them and the bytes after them. A count of 0 means the first.

    Raises ``MalformedBytes``.
    """
    count, at = read_long(data, 0)
    if not 0 <= count <= MAX_INDEXES:
        raise MalformedBytes(f"{count} message indexes; the limit is {MAX_INDEXES}")
    indexes = []
    for _ in range(count):
        index, at = read_long(data, at)
        indexes.append(index)
    return tuple(indexes) or (0,), data[at:]


def protobuf_schema(text: str, references: Mapping[str, str], origin: str) -> ProtobufSchema:
    """Compile a descriptor in base64 and the descriptors it imports, by import path, innermost first.

    Raises ``DefinitionError``.
    """
    main = _descriptor(text, origin)
    main.name = "hookferry/value.proto"
    pool, added = DescriptorPool(), set[str]()
    try:
        for name, import_text in references.items():
            file = _descriptor(import_text, f"{origin}, import {name}")
            file.name = name
            _add(pool, file, added)
        _add(pool, main, added)
        return ProtobufSchema(pool.FindFileByName(main.name), pool)
    except (TypeError, KeyError, ValueError, RecursionError) as exc:
        missing = [str(name) for name in main.dependency if name not in added]
        cause = (
            f"imports {', '.join(missing)[:200]}, which the registry did not return" if missing else str(exc)
        )
        raise DefinitionError(origin, f"not a Protobuf file: {cause[:300]}") from exc


def _add(pool: DescriptorPool, file: Any, added: set[str]) -> None:
    """Add a file to the pool, after its well-known imports."""
    for name in file.dependency:
        if name not in added and (well_known := _well_known(name)) is not None:
            _add(pool, well_known, added)
    if file.name not in added:
        added.add(file.name)
        pool.Add(file)


def _well_known(name: str) -> Any:
    for module in _OWN:
        if module.DESCRIPTOR.name == name:
            return descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
    if name not in _WELL_KNOWN:
        return None
    package, message_name, fields = _WELL_KNOWN[name]
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    if message_name:
        message = file.message_type.add(name=message_name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            message.field.add(name=field, number=number, type=_NUMBERS[kind], label=1)
    return file


def _has_more(message: Any, limit: int) -> bool:
    """Return True if the message contains more than ``limit`` messages, counting itself and map entries."""
    stack, count = [message], 0
    while stack:
        count += 1
        for field, value in stack.pop().ListFields():
            if field.message_type is None:
                continue
            if hasattr(value, "ListFields"):
                stack.append(value)
            elif hasattr(value, "values"):  # a map
                count += len(value)
                if field.message_type.fields_by_name["value"].message_type is not None:
                    stack.extend(value.values())
            else:
                stack.extend(value)
            if count + len(stack) > limit:
                return True
    return False


def _descriptor(text: str, origin: str) -> Any:
    try:
        return descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except binascii.Error as exc:
        raise DefinitionError(
            origin, "the registry returned .proto text: it does not support format=serialized"
        ) from exc
    except Exception as exc:  # protobuf's DecodeError
        raise DefinitionError(origin, f"not a serialized file descriptor ({exc})") from exc


def _with_nested(messages: list[Descriptor]) -> list[Descriptor]:
    """Return the messages and all nested ones, outer ones first."""
    all_messages = list(messages)
    for message in all_messages:  # the list grows during the loop
        all_messages.extend(message.nested_types)
    return all_messages
