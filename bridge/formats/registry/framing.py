"""How a value names its schema: Confluent's wire format and Apicurio's, in front of the value or in headers.

Below the registry formats in step 2. Takes a record and its value, gives a ``Frame``. Rule floor, pure.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from bridge.errors import DecodeError
from bridge.formats.avro.bounds import HostileBytes
from bridge.formats.registry.protobuf_schema import message_indexes
from bridge.formats.schema_cache import Frame, SchemaKey
from bridge.model import Record

CONFLUENT_HEADER = "__value_schema_id"
APICURIO_HEADERS = {"apicurio.value.contentId": "content", "apicurio.value.globalId": "global"}

_ENCODING = "apicurio.value.encoding"
_MESSAGE_TYPE = "apicurio.value.protobuf.type"


def confluent(record: Record, value: bytes) -> Frame:
    """``00`` and an id of 4 bytes, or ``01`` and a GUID of 16: in a header, else in front of the value.

    Protobuf's message indexes follow it where it stands. Raises ``DecodeError``.
    """
    head = _header(record, CONFLUENT_HEADER)
    found = value if head is None else head
    if found[:1] == b"\0" and len(found) >= 5:
        key, rest = SchemaKey("id", str(int.from_bytes(found[1:5], "big"))), found[5:]
    elif found[:1] == b"\1" and len(found) >= 17:
        key, rest = SchemaKey("guid", str(UUID(bytes=found[1:17]))), found[17:]
    else:
        raise _unframed(record, found, "00 and 4 bytes, or 01 and 16 bytes")
    if head is None:
        return Frame(key, rest, message_indexes)
    return Frame(key, value, lambda payload: (message_indexes(rest)[0] if rest else (0,), payload))


def apicurio(record: Record, value: bytes, prefix_ids: str | None = None) -> Frame:
    """``00`` and an id of 4 bytes (Apicurio 3) or 8 (Apicurio 2), or an id of 8 bytes in a header.

    The 8 bytes are told from the 4 by the first four being 0, which no id is. Four are a content id,
    eight a global id, as the serialisers write them by default, unless ``prefix_ids`` says which.
    Raises ``DecodeError``.
    """
    encoding = _header(record, _ENCODING)
    if encoding is not None and encoding.strip().upper() == b"JSON":
        raise DecodeError(
            record.place,
            "the value is Avro in its JSON encoding, which is not read",
            "set apicurio.registry.avro.encoding=BINARY at the producer",
        )
    for name, kind in APICURIO_HEADERS.items():
        raw = _header(record, name)
        if raw is not None:
            if len(raw) != 8:
                raise DecodeError(
                    f"{record.place} header {name}",
                    f"it has {len(raw)} bytes, not 8",
                    "correct what writes to this topic",
                )
            message = (_header(record, _MESSAGE_TYPE) or b"").decode(errors="replace")
            key = SchemaKey(kind, str(int.from_bytes(raw, "big")))
            return Frame(key, value, partial(_named, message))
    if value[:1] != b"\0" or len(value) < 5:
        raise _unframed(record, value, "00 and 4 or 8 bytes, and there is no header apicurio.value.contentId")
    is_long = value[1:5] == b"\0\0\0\0" and len(value) >= 9
    width, kind = (8, "global") if is_long else (4, "content")
    id_ = int.from_bytes(value[1 : 1 + width], "big")
    return Frame(SchemaKey(prefix_ids or kind, str(id_)), value[1 + width :], _by_reference)


def apicurio_with(prefix_ids: str | None) -> partial[Frame]:
    """``apicurio`` for a source that says which ids stand in front."""
    return partial(apicurio, prefix_ids=prefix_ids)


def _named(message: str, payload: bytes) -> tuple[str, bytes]:
    return message, payload


def _by_reference(payload: bytes) -> tuple[tuple[int, ...] | str, bytes]:
    """Apicurio's Protobuf: a message with one text field, the name, in front; else Confluent's indexes.

    Raises ``HostileBytes``.
    """
    length = payload[0] if payload else 0
    reference = payload[1 : 1 + length]
    if 1 < length < 0x80 and len(reference) == length and reference[0] == 0x0A and reference[1] == length - 2:
        try:
            return reference[2:].decode(), payload[1 + length :]
        except UnicodeDecodeError as exc:
            raise HostileBytes("the name of the message is not UTF-8") from exc
    return message_indexes(payload)


def _header(record: Record, name: str) -> bytes | None:
    return next((raw for key, raw in record.headers if key == name), None)


def _unframed(record: Record, found: bytes, expected: str) -> DecodeError:
    looks = "nothing" if not found else found[:5].hex()
    if found[:1] in (b"{", b"[", b'"'):
        looks = "JSON"
    elif found[:2] == b"\xc3\x01":
        looks = "c301, Avro's single-object encoding"
    return DecodeError(
        record.place,
        f"no schema id: expected {expected}; it begins with {looks}",
        "look at a record with: hookferry inspect",
    )
