"""Protobuf values: a file descriptor from a registry, and the message that the value says it is.

Below the registry formats in step 2. Takes serialised descriptors, gives a ``ProtobufSchema``. Rule floor,
pure; no ``.proto`` text is compiled. JSON follows Protobuf's own mapping, with field names as in the schema.
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
from bridge.formats.avro.bounds import HostileBytes, read_long
from bridge.formats.avro.definitions import DefinitionError
from bridge.formats.schema_cache import Frame, Reading

MOST_INDEXES = 32  # messages inside messages; the compiler itself allows 100
MOST_MESSAGES = 100_000
"""Messages in one value: the mapping to JSON takes some 5 µs for each, and nothing else runs meanwhile."""

_OWN = (
    any_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2,
)  # fmt: skip
_PRODUCER = "the record is damaged or was not written by the schema it names; look at its producer"
_NUMBERS = {"bytes": 12, "double": 1, "int32": 5, "int64": 3, "string": 9, "uint32": 13}
_USUAL = {  # what registries take as given, so that no schema brings it along; field numbers count from 1
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
    """One file of messages, with all that it imports, in a pool of its own."""

    def __init__(self, file: FileDescriptor, pool: DescriptorPool) -> None:
        self._file = file
        self._pool = pool

    def read(self, frame: Frame, place: str) -> Reading:
        """Decode a value. Raises ``DecodeError``."""
        try:
            which, data = frame.choose(frame.payload)
            descriptor = self._message(which)
        except HostileBytes as exc:
            raise DecodeError(place, f"the schema with {frame.key} is Protobuf: {exc}", _PRODUCER) from exc
        try:
            message = message_factory.GetMessageClass(descriptor)()
            message.ParseFromString(data)
            if len(data) > 2 * MOST_MESSAGES and _has_more(message, MOST_MESSAGES):  # each takes two bytes
                raise HostileBytes(f"more than {MOST_MESSAGES} messages in one value")
            document = MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=self._pool)
        except HostileBytes as exc:
            raise DecodeError(place, f"{descriptor.full_name}: {exc}", _PRODUCER) from exc
        except (
            Exception
        ) as exc:  # protobuf raises DecodeError, and TypeError or ValueError from its JSON mapping
            cause = (
                f"{descriptor.full_name}: the bytes do not follow the schema ({type(exc).__name__}: {exc})"
            )
            raise DecodeError(place, cause[:500], _PRODUCER) from exc
        return Reading(descriptor.full_name, document)

    def _message(self, which: tuple[int, ...] | str) -> Descriptor:
        """The message at indexes, or of a name, full or short; an empty name is the first one."""
        top = list(self._file.message_types_by_name.values())
        if isinstance(which, str):
            found: dict[str, Descriptor] = {}
            for one in _all(top):
                found.setdefault(one.name, one)
                found[one.full_name] = one
            if which and which not in found:
                raise HostileBytes(f"it has no message {which[:80]!r}")
            if not top:
                raise HostileBytes("it has no message at all")
            return found[which] if which else top[0]
        messages, chosen = top, None
        for index in which:
            if not 0 <= index < len(messages):
                raise HostileBytes(f"it has no message at {list(which)}")
            chosen = messages[index]
            messages = list(chosen.nested_types)
        if chosen is None:
            raise HostileBytes("it has no message at []")
        return chosen


def message_indexes(data: bytes) -> tuple[tuple[int, ...], bytes]:
    """Read Confluent's message indexes and what follows; a count of 0 stands for the first message.

    Raises ``HostileBytes``.
    """
    count, at = read_long(data, 0)
    if not 0 <= count <= MOST_INDEXES:
        raise HostileBytes(f"{count} message indexes, the limit is {MOST_INDEXES}")
    indexes = []
    for _ in range(count):
        index, at = read_long(data, at)
        indexes.append(index)
    return tuple(indexes) or (0,), data[at:]


def protobuf_schema(text: str, references: Mapping[str, str], origin: str) -> ProtobufSchema:
    """Make a schema of a descriptor in base64 and of those it imports, by import path, innermost first.

    Raises ``DefinitionError``.
    """
    main = _descriptor(text, origin)
    main.name = "hookferry/value.proto"
    pool, there = DescriptorPool(), set[str]()
    try:
        for name, one in references.items():
            file = _descriptor(one, f"{origin}, import {name}")
            file.name = name
            _add(pool, file, there)
        _add(pool, main, there)
        return ProtobufSchema(pool.FindFileByName(main.name), pool)
    except (TypeError, KeyError, ValueError, RecursionError) as exc:
        missing = [str(name) for name in main.dependency if name not in there]
        cause = (
            f"imports {', '.join(missing)[:200]}, which the registry does not give" if missing else str(exc)
        )
        raise DefinitionError(origin, f"not a Protobuf file: {cause[:300]}") from exc


def _add(pool: DescriptorPool, file: Any, there: set[str]) -> None:
    """Put a file into the pool, after those of its imports that every registry takes as given."""
    for name in file.dependency:
        if name not in there and (usual := _usual(name)) is not None:
            _add(pool, usual, there)
    if file.name not in there:
        there.add(file.name)
        pool.Add(file)


def _usual(name: str) -> Any:
    for module in _OWN:
        if module.DESCRIPTOR.name == name:
            return descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
    if name not in _USUAL:
        return None
    package, message, fields = _USUAL[name]
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    if message:
        made = file.message_type.add(name=message)
        for number, (field, kind) in enumerate(fields.items(), 1):
            made.field.add(name=field, number=number, type=_NUMBERS[kind], label=1)
    return file


def _has_more(message: Any, most: int) -> bool:
    """Whether there are more messages in it than ``most``, itself and the entries of maps included."""
    waiting, found = [message], 0
    while waiting:
        found += 1
        for field, value in waiting.pop().ListFields():
            if field.message_type is None:
                continue
            if hasattr(value, "ListFields"):
                waiting.append(value)
            elif hasattr(value, "values"):  # a map
                found += len(value)
                if field.message_type.fields_by_name["value"].message_type is not None:
                    waiting.extend(value.values())
            else:
                waiting.extend(value)
            if found + len(waiting) > most:
                return True
    return False


def _descriptor(text: str, origin: str) -> Any:
    try:
        return descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except binascii.Error as exc:
        raise DefinitionError(
            origin, "given as .proto text: the registry does not know format=serialized"
        ) from exc
    except Exception as exc:  # protobuf's DecodeError
        raise DefinitionError(origin, f"not a serialised file descriptor ({exc})") from exc


def _all(messages: list[Descriptor]) -> list[Descriptor]:
    """Messages and those inside them, outer ones first."""
    found = list(messages)
    for one in found:  # grows while it is walked
        found.extend(one.nested_types)
    return found
