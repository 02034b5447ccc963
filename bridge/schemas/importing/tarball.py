"""A tar archive from front to back, entry by entry, without ever going back or unpacking to disk.

Takes a stream, gives regular files. Pure but for the stream. Small and own because it must stay in bounds:
sizes that are negative, names of gigabytes, devices and links are what an archive of a stranger
may hold. Reads ustar, GNU long names, and the paths of pax headers (POSIX.1-2001, "pax").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, NamedTuple

_BLOCK = 512
_MAX_NAME_BYTES = 64 * 1024
_REGULAR, _FOLDER = (b"\0", b"0", b"7"), b"5"
_KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a pipe"}


class TarError(Exception):
    """Bytes that are not a tar archive, or a damaged one."""


class Entry(NamedTuple):
    """A file in the archive: its content is read from the stream before the next entry is asked for.

    ``odd`` says what it is when it is not a regular file.
    """

    name: str
    size: int
    content: Content
    odd: str | None


class Content:
    """The bytes of one entry, as a stream that ends with it."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size``. Raises ``TarError`` when the archive ends first."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._stream.read(wanted)
        self._left -= len(data)
        if len(data) < wanted:
            raise TarError("it is cut short")
        return data

    def skip(self, more: int = 0) -> None:
        """Pass by what is left, and so many bytes behind it."""
        self._left += more
        while self._left:
            self.read(64 * 1024)


def entries(stream: IO[bytes]) -> Iterator[Entry]:
    """Every file of the archive, in order; folders are left out. Raises ``TarError``."""
    long_name: str | None = None
    while True:
        header = stream.read(_BLOCK)
        if not header.strip(b"\0"):
            return
        if len(header) < _BLOCK:
            raise TarError("it is cut short")
        _check(header)
        kind, size = header[156:157], _number(header[124:136])
        content, padding = Content(stream, size), -size % _BLOCK
        if kind in (b"L", b"x", b"g"):
            if size > _MAX_NAME_BYTES:
                raise TarError(f"a name of {size} bytes")
            text = content.read()
            if kind == b"L":
                long_name = _decoded(text)
            elif kind == b"x":
                long_name = _pax_path(text)
        else:
            name, long_name = long_name or _name(header), None
            if kind != _FOLDER:
                odd = None if kind in _REGULAR else _KINDS.get(kind, "no regular file")
                yield Entry(name, size, content, odd)
        content.skip(padding)


def _check(header: bytes) -> None:
    """The sum of the header's bytes stands in the header, where spaces count instead of it."""
    total = sum(header) - sum(header[148:156]) + 8 * 0x20
    if _number(header[148:156]) != total:
        raise TarError("a header's checksum is wrong")


def _number(field: bytes) -> int:
    """Octal digits, or for large numbers binary with the first bit set (GNU)."""
    if field[0] & 0x80:
        number = int.from_bytes(field, "big", signed=True) if field[0] == 0xFF else _binary(field)
    else:
        try:
            number = int(field.strip(b"\0 ") or b"0", 8)
        except ValueError as exc:
            raise TarError("a number is damaged") from exc
    if not 0 <= number < 1 << 62:
        raise TarError("a size is negative or beyond all bounds")
    return number


def _binary(field: bytes) -> int:
    return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")


def _name(header: bytes) -> str:
    name = _decoded(header[:100])
    prefix = _decoded(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _pax_path(text: bytes) -> str | None:
    """The path in records of length, space, key=value and newline; None when they do not tell one."""
    at = 0
    while at < len(text):
        digits, found, _ = text[at : at + 20].partition(b" ")
        length = int(digits) if found and digits.isdigit() else 0
        record = text[at + len(digits) + 1 : at + length - 1]
        if not length or at + length > len(text):
            raise TarError("a pax header is damaged")
        key, _, value = record.partition(b"=")
        if key == b"path":
            return _decoded(value)
        at += length
    return None


def _decoded(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")
