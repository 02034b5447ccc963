"""The schema in a Java class that Avro generated: read from the bytes, without a Java machine.

Takes a class file, gives the JSON text behind its static field ``SCHEMA$``. Pure. A constant holds at
most 65,535 bytes, so Avro's compiler hands a longer text over in pieces; the pieces are the string constants
that the static initialiser loads before it stores ``SCHEMA$``, in the order of its code. Layout: Java
Virtual Machine Specification 17, chapters 4 and 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, error

from bridge.schemas.importing.budget import MAX_TEXT_BYTES

FIELD = b"SCHEMA$"
"""Bytes that every class with a schema holds, whoever wrote it: without them it need not be read."""

_MAGIC = 0xCAFEBABE
_UTF8, _STRING, _FIELD_REF, _NAME_AND_TYPE, _LONG, _DOUBLE = 1, 8, 9, 12, 5, 6
_SIZES = {
    **dict.fromkeys((7, 8, 16, 19, 20), 2),
    15: 3,
    **dict.fromkeys((3, 4, 9, 10, 11, 12, 17, 18), 4),
    **dict.fromkeys((5, 6), 8),
}
"""Bytes behind the tag of each constant but Utf8 (table 4.4-A)."""
_LDC, _LDC_W, _PUTSTATIC, _TABLESWITCH, _LOOKUPSWITCH, _WIDE, _IINC = 18, 19, 179, 170, 171, 196, 132
_OPERANDS = {
    **dict.fromkeys((16, 18, *range(21, 26), *range(54, 59), 169, 188), 1),
    **dict.fromkeys((17, 19, 20, 132, *range(153, 169), *range(178, 185), 187, 189, 192, 193, 198, 199), 2),
    **dict.fromkeys((185, 186, 200, 201), 4),
    197: 3,
}
"""Operand bytes of each instruction; those without any, and those of varying length, are left out."""

_U1, _U2, _U4, _I4 = Struct(">B"), Struct(">H"), Struct(">I"), Struct(">i")


class ClassFileError(Exception):
    """Bytes that are not a class file, or one that is damaged."""


def schema_text(data: bytes) -> str | None:
    """The text of the schema; None for a class that has none. Raises ``ClassFileError``."""
    if FIELD not in data:
        return None
    try:
        return _ClassFile(data).schema_text()
    except (error, IndexError, KeyError, UnicodeError) as exc:
        raise ClassFileError(f"not a class file, or a damaged one ({type(exc).__name__})") from exc


class _ClassFile:
    """A class file, read from front to back; every length in it is checked by the reads themselves."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        if self._take(_U4) != _MAGIC:
            raise ClassFileError("not a class file")
        self._take(_U4)  # versions
        self._constants = self._read_constants()

    def schema_text(self) -> str | None:
        """What the static initialiser puts into ``SCHEMA$``."""
        self._skip(6)  # access, this class, super class
        self._skip(2 * self._take(_U2))  # interfaces
        for _ in range(self._take(_U2)):  # fields
            self._skip(6)
            for _, length in self._attributes():
                self._skip(length)
        for _ in range(self._take(_U2)):  # methods
            self._skip(2)
            name = self._utf8(self._take(_U2))
            self._skip(2)
            for attribute, length in self._attributes():
                if name == b"<clinit>" and attribute == b"Code":
                    return self._initialised()
                self._skip(length)
        return None

    def _initialised(self) -> str | None:
        self._skip(4)  # stack and locals
        length = self._take(_U4)
        code = self._data[self._at : self._at + length]
        if len(code) < length:
            raise ClassFileError("its code is cut short")
        parts, size = list[bytes](), 0
        for opcode, index in _constants_used(code):
            if opcode == _PUTSTATIC:
                if self._field_name(index) == FIELD:
                    return _text(parts)
            elif (part := self._string(index)) is not None:
                parts.append(part)
                size += len(part)
                if size > MAX_TEXT_BYTES:
                    raise ClassFileError(f"its texts have more than {MAX_TEXT_BYTES >> 20} MB")
        return None

    def _read_constants(self) -> list[tuple[int, bytes]]:
        """Every constant as tag and bytes, at its own number."""
        count = self._take(_U2)
        found = [(0, b"")]
        while len(found) < count:
            tag = self._take(_U1)
            size = self._take(_U2) if tag == _UTF8 else _SIZES[tag]
            start = self._at
            self._skip(size)
            found.append((tag, self._data[start : self._at]))
            if tag in (_LONG, _DOUBLE):  # these take two numbers (4.4.5)
                found.append((0, b""))
        return found

    def _attributes(self) -> Iterator[tuple[bytes, int]]:
        """Name and length of each attribute; the caller skips its content."""
        for _ in range(self._take(_U2)):
            name = self._utf8(self._take(_U2))
            yield name, self._take(_U4)

    def _constant(self, index: int, tag: int) -> bytes:
        found, data = self._constants[index]
        if found != tag:
            raise ClassFileError(f"constant {index} is not what it should be")
        return data

    def _utf8(self, index: int) -> bytes:
        return self._constant(index, _UTF8)

    def _string(self, index: int) -> bytes | None:
        """The text of a loaded constant; None when it is a number or a class."""
        tag, data = self._constants[index]
        return self._utf8(_U2.unpack(data)[0]) if tag == _STRING else None

    def _field_name(self, index: int) -> bytes:
        name_and_type = _U2.unpack_from(self._constant(index, _FIELD_REF), 2)[0]
        return self._utf8(_U2.unpack_from(self._constant(name_and_type, _NAME_AND_TYPE))[0])

    def _take(self, number: Struct) -> int:
        found: int = number.unpack_from(self._data, self._at)[0]
        self._at += number.size
        return found

    def _skip(self, size: int) -> None:
        self._at += size
        if self._at > len(self._data):
            raise ClassFileError("it is cut short")


def _constants_used(code: bytes) -> Iterator[tuple[int, int]]:
    """Loads of constants and stores to static fields, in order: the instruction and its constant."""
    at = 0
    while at < len(code):
        opcode = code[at]
        if opcode == _LDC:
            yield opcode, code[at + 1]
        elif opcode in (_LDC_W, _PUTSTATIC):
            yield opcode, _U2.unpack_from(code, at + 1)[0]
        at += 1 + _operand_bytes(code, at, opcode)


def _operand_bytes(code: bytes, at: int, opcode: int) -> int:
    if opcode == _WIDE:
        return 5 if code[at + 1] == _IINC else 3
    if opcode not in (_TABLESWITCH, _LOOKUPSWITCH):
        return _OPERANDS.get(opcode, 0)
    padding = -(at + 1) % 4
    start = at + 1 + padding
    if opcode == _LOOKUPSWITCH:
        pairs: int = _U4.unpack_from(code, start + 4)[0]
        return padding + 8 + 8 * pairs
    low: int = _I4.unpack_from(code, start + 4)[0]
    high: int = _I4.unpack_from(code, start + 8)[0]
    return padding + 12 + 4 * max(0, high - low + 1)


def _text(parts: list[bytes]) -> str | None:
    """Java's modified UTF-8 (4.4.7) as text: zero in two bytes, large characters as two of three bytes."""
    while parts and not parts[0].startswith(b"{"):
        del parts[0]  # an enumeration makes its constants first, from their names
    if not parts:
        return None
    raw = b"".join(parts).replace(b"\xc0\x80", b"\0")
    return raw.decode("utf-8", "surrogatepass").encode("utf-16-be", "surrogatepass").decode("utf-16-be")
