"""Reads the schema from a Java class that Avro generated, without a Java virtual machine. Pure.

The schema is the JSON text of the static field ``SCHEMA$``. A constant has at most 65,535 bytes, so Avro's
compiler splits a longer text. The parts are the string constants that the static initializer loads before it
stores ``SCHEMA$``, in the order of its code. Layout: Java Virtual Machine Specification 17, chapters 4 and
6.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, error

from bridge.schemas.importing.budget import MAX_TEXT_BYTES

FIELD = b"SCHEMA$"
"""Bytes that every class with a schema contains; a class without them need not be read."""

_MAGIC = 0xCAFEBABE
_UTF8, _STRING, _FIELD_REF, _NAME_AND_TYPE, _LONG, _DOUBLE = 1, 8, 9, 12, 5, 6
_SIZES = {
    **dict.fromkeys((7, 8, 16, 19, 20), 2),
    15: 3,
    **dict.fromkeys((3, 4, 9, 10, 11, 12, 17, 18), 4),
    **dict.fromkeys((5, 6), 8),
}
"""Bytes after the tag of each constant except Utf8 (table 4.4-A)."""
_LDC, _LDC_W, _PUTSTATIC, _TABLESWITCH, _LOOKUPSWITCH, _WIDE, _IINC = 18, 19, 179, 170, 171, 196, 132
_OPERANDS = {
    **dict.fromkeys((16, 18, *range(21, 26), *range(54, 59), 169, 188), 1),
    **dict.fromkeys((17, 19, 20, 132, *range(153, 169), *range(178, 185), 187, 189, 192, 193, 198, 199), 2),
    **dict.fromkeys((185, 186, 200, 201), 4),
    197: 3,
}
"""Operand bytes of each instruction; those with none or a variable number are left out."""

_U1, _U2, _U4, _I4 = Struct(">B"), Struct(">H"), Struct(">I"), Struct(">i")


class ClassFileError(Exception):
    """The bytes are not a class file, or a damaged one."""


def schema_text(data: bytes) -> str | None:
    """Return the text of the schema; None for a class without one. Raises ``ClassFileError``."""
    if FIELD not in data:
        return None
    try:
        return _ClassFile(data).schema_text()
    except (error, IndexError, KeyError, UnicodeError) as exc:
        raise ClassFileError(f"not a class file, or a damaged one ({type(exc).__name__})") from exc


class _ClassFile:
    """A class file, read from front to back; each read checks the length it needs."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        if self._take(_U4) != _MAGIC:
            raise ClassFileError("not a class file")
        self._take(_U4)  # versions
        self._constants = self._read_constants()

    def schema_text(self) -> str | None:
        """Return the text that the static initializer stores in ``SCHEMA$``."""
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
                    return self._initial_text()
                self._skip(length)
        return None

    def _initial_text(self) -> str | None:
        self._skip(4)  # stack and locals
        length = self._take(_U4)
        code = self._data[self._at : self._at + length]
        if len(code) < length:
            raise ClassFileError("its code is truncated")
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
        """Return every constant as tag and bytes, at its own number."""
        count = self._take(_U2)
        constants = [(0, b"")]
        while len(constants) < count:
            tag = self._take(_U1)
            size = self._take(_U2) if tag == _UTF8 else _SIZES[tag]
            start = self._at
            self._skip(size)
            constants.append((tag, self._data[start : self._at]))
            if tag in (_LONG, _DOUBLE):  # these take two numbers (4.4.5)
                constants.append((0, b""))
        return constants

    def _attributes(self) -> Iterator[tuple[bytes, int]]:
        """Yield name and length of each attribute; the caller skips its content."""
        for _ in range(self._take(_U2)):
            name = self._utf8(self._take(_U2))
            yield name, self._take(_U4)

    def _constant(self, index: int, tag: int) -> bytes:
        actual, data = self._constants[index]
        if actual != tag:
            raise ClassFileError(f"constant {index} has the wrong type")
        return data

    def _utf8(self, index: int) -> bytes:
        return self._constant(index, _UTF8)

    def _string(self, index: int) -> bytes | None:
        """Return the text of a loaded constant; None if it is a number or a class."""
        tag, data = self._constants[index]
        return self._utf8(_U2.unpack(data)[0]) if tag == _STRING else None

    def _field_name(self, index: int) -> bytes:
        name_and_type = _U2.unpack_from(self._constant(index, _FIELD_REF), 2)[0]
        return self._utf8(_U2.unpack_from(self._constant(name_and_type, _NAME_AND_TYPE))[0])

    def _take(self, number: Struct) -> int:
        value: int = number.unpack_from(self._data, self._at)[0]
        self._at += number.size
        return value

    def _skip(self, size: int) -> None:
        self._at += size
        if self._at > len(self._data):
            raise ClassFileError("it is truncated")


def _constants_used(code: bytes) -> Iterator[tuple[int, int]]:
    """Yield each load of a constant and store to a static field: the instruction and its constant."""
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
    """Decode Java's modified UTF-8 (4.4.7): NUL has two bytes, large characters two times three bytes."""
    while parts and not parts[0].startswith(b"{"):
        del parts[0]  # an enumeration first creates its constants, from their names
    if not parts:
        return None
    raw = b"".join(parts).replace(b"\xc0\x80", b"\0")
    return raw.decode("utf-8", "surrogatepass").encode("utf-16-be", "surrogatepass").decode("utf-16-be")
