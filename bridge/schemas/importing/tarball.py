"""Reads a tar archive from front to back, entry by entry, without unpacking it to disk.

Python's ``tarfile`` does not limit what it reads; an untrusted archive may contain negative sizes, names of
gigabytes, devices and links. This reads ustar, GNU long names, and the paths in pax headers (POSIX.1-2001,
"pax").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, NamedTuple

_BLOCK = 512
_MAX_NAME_BYTES = 64 * 1024
_REGULAR, _FOLDER = (b"\0", b"0", b"7"), b"5"
_KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a pipe"}


class TarError(Exception):
    """The bytes are not a tar archive, or a damaged one."""


class Entry(NamedTuple):
    """A file in the archive. Its content must be read before the next entry is requested.

    ``special``: what it is instead of a regular file, or None.
    """

    name: str
    size: int
    content: Content
    special: str | None


class Content:
    """The bytes of one entry, as a stream that ends with the entry."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most ``size``. Raises ``TarError`` if the archive ends first."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._stream.read(wanted)
        self._left -= len(data)
        if len(data) < wanted:
            raise TarError("it is truncated")
        return data

    def skip(self, more: int = 0) -> None:
        """Skip the rest of the entry, and ``more`` bytes after it."""
        self._left += more
        while self._left:
            self.read(64 * 1024)


def read_entries(stream: IO[bytes]) -> Iterator[Entry]:
    """Yield every file of the archive, in order, without folders. Raises ``TarError``."""
    long_name: str | None = None
    while True:
        header = stream.read(_BLOCK)
        if not header.strip(b"\0"):
            return
        if len(header) < _BLOCK:
            raise TarError("it is truncated")
        _check(header)
        kind, size = header[156:157], _number(header[124:136])
        content, padding = Content(stream, size), -size % _BLOCK
        if kind in (b"L", b"x", b"g"):
            if size > _MAX_NAME_BYTES:
                raise TarError(f"a name of {size} bytes")
            text = content.read()
            if kind == b"L":
                long_name = _decode(text)
            elif kind == b"x":
                long_name = _pax_path(text)
        else:
            name, long_name = long_name or _name(header), None
            if kind != _FOLDER:
                special = None if kind in _REGULAR else _KINDS.get(kind, "not a regular file")
                yield Entry(name, size, content, special)
        content.skip(padding)


def _check(header: bytes) -> None:
    """Check the sum of the header's bytes, in which the field of the sum counts as spaces."""
    total = sum(header) - sum(header[148:156]) + 8 * 0x20
    if _number(header[148:156]) != total:
        raise TarError("a header's checksum is wrong")


def _number(field: bytes) -> int:
    """Read octal digits, or a large number in binary with the first bit set (GNU)."""
    if field[0] & 0x80:
        number = int.from_bytes(field, "big", signed=True) if field[0] == 0xFF else _binary(field)
    else:
        try:
            number = int(field.strip(b"\0 ") or b"0", 8)
        except ValueError as exc:
            raise TarError("a number is damaged") from exc
    if not 0 <= number < 1 << 62:
        raise TarError("a size is negative or far too large")
    return number


def _binary(field: bytes) -> int:
    return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")


def _name(header: bytes) -> str:
    name = _decode(header[:100])
    prefix = _decode(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _pax_path(text: bytes) -> str | None:
    """Return the path in records of length, space, key=value and newline; None if there is none."""
    at = 0
    while at < len(text):
        digits, space, _ = text[at : at + 20].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = text[at + len(digits) + 1 : at + length - 1]
        if not length or at + length > len(text):
            raise TarError("a pax header is damaged")
        key, _, value = record.partition(b"=")
        if key == b"path":
            return _decode(value)
        at += length
    return None


def _decode(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")
