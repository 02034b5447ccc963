"""Read the schema key of a value: Confluent's wire format and Apicurio's, as a prefix or in headers."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from bridge.errors import DecodeError
from bridge.formats.avro.bounds import MalformedBytes
from bridge.formats.registry.protobuf_schema import message_indexes
from bridge.formats.schema_cache import Frame, SchemaKey
from bridge.model import Record

CONFLUENT_HEADER = "__value_schema_id"
APICURIO_HEADERS = {"apicurio.value.contentId": "content", "apicurio.value.globalId": "global"}

_ENCODING = "apicurio.value.encoding"
_MESSAGE_TYPE = "apicurio.value.protobuf.type"


def read_confluent_frame(record: Record, value: bytes) -> Frame:
    """Split off ``00`` and an id of 4 bytes, or ``01`` and a GUID of 16, from a header or else the value.

    Protobuf's message indexes follow the id, in the header as in the value. Raises ``DecodeError``.
    """
    header = record.last_header(CONFLUENT_HEADER)
    prefix = value if header is None else header
    if prefix[:1] == b"\0" and len(prefix) >= 5:
        key, rest = SchemaKey("id", str(int.from_bytes(prefix[1:5], "big"))), prefix[5:]
    elif prefix[:1] == b"\1" and len(prefix) >= 17:
        key, rest = SchemaKey("guid", str(UUID(bytes=prefix[1:17]))), prefix[17:]
    else:
        raise _unframed(record, prefix, "00 and 4 bytes, or 01 and 16 bytes")
    if header is None:
        return Frame(key, rest, message_indexes)
    return Frame(key, value, lambda payload: (message_indexes(rest)[0] if rest else (0,), payload))


def read_apicurio_frame(record: Record, value: bytes, prefix_ids: str | None = None) -> Frame:
    """Split off ``00`` and an id of 4 bytes (Apicurio 3) or 8 (Apicurio 2), or read 8 bytes from a header.

    An id of 8 bytes begins with four zero bytes, and no id of 4 bytes is 0. By the serializers' defaults
    4 bytes are a content id and 8 bytes a global id; ``prefix_ids`` overrides the kind.
    Raises ``DecodeError``.
    """
    encoding = record.last_header(_ENCODING)
    if encoding is not None and encoding.strip().upper() == b"JSON":
        raise DecodeError(
            record.place,
            "the value is Avro in its JSON encoding, which is not supported",
            "set apicurio.registry.avro.encoding=BINARY at the producer",
        )
    for name, kind in APICURIO_HEADERS.items():
        raw = record.last_header(name)
        if raw is not None:
            if len(raw) != 8:
                raise DecodeError(
                    f"{record.place} header {name}",
                    f"the header has {len(raw)} bytes, not 8",
                    "correct the producer of this topic",
                )
            message = (record.last_header(_MESSAGE_TYPE) or b"").decode(errors="replace")
            key = SchemaKey(kind, str(int.from_bytes(raw, "big")))
            return Frame(key, value, partial(_named, message))
    if value[:1] != b"\0" or len(value) < 5:
        raise _unframed(record, value, "00 and 4 or 8 bytes, and there is no header apicurio.value.contentId")
    is_long = value[1:5] == b"\0\0\0\0" and len(value) >= 9
    width, kind = (8, "global") if is_long else (4, "content")
    id_ = int.from_bytes(value[1 : 1 + width], "big")
    return Frame(SchemaKey(prefix_ids or kind, str(id_)), value[1 + width :], _by_reference)


def _named(message: str, payload: bytes) -> tuple[str, bytes]:
    return message, payload


def _by_reference(payload: bytes) -> tuple[tuple[int, ...] | str, bytes]:
    """Read Apicurio's Protobuf prefix: a message whose only field is the name; else Confluent's indexes.

    Raises ``MalformedBytes``.
    """
    length = payload[0] if payload else 0
    reference = payload[1 : 1 + length]
    if 1 < length < 0x80 and len(reference) == length and reference[0] == 0x0A and reference[1] == length - 2:
        try:
            return reference[2:].decode(), payload[1 + length :]
        except UnicodeDecodeError as exc:
            raise MalformedBytes("the name of the message is not UTF-8") from exc
    return message_indexes(payload)


def _unframed(record: Record, prefix: bytes, expected: str) -> DecodeError:
    start = f"it begins with {prefix[:5].hex()}" if prefix else "it is empty"
    if prefix[:1] in (b"{", b"[", b'"'):
        start = "it looks like JSON"
    elif prefix[:2] == b"\xc3\x01":
        start = "it begins with c301, Avro's single-object encoding"
    return DecodeError(
        record.place,
        f"the value has no schema id: expected {expected}; {start}",
        "detect the format of this topic with `hookferry inspect`",
    )
