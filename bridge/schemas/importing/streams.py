"""Streams of files and archives that bound what is read from them.

Invariant: no read returns more than its bound, whatever an archive claims of itself.
"""

from __future__ import annotations

import io
from typing import IO, Protocol

from bridge.schemas.importing import budget as bounds
from bridge.schemas.importing.budget import Budget, EntryTooLarge, ImportRefused

CHUNK = 1 << 18


class Readable(Protocol):
    """Anything that bytes can be read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most so many of the next bytes; empty at the end."""
        ...


class CountedStream:
    """A stream that counts its bytes against a budget."""

    def __init__(self, stream: Readable, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises ``ImportRefused``."""
        data = self._stream.read(size)
        self._budget.unpacked(len(data))
        return data


class BoundedFile(io.RawIOBase):
    """Bounds the reads of ``zipfile``, which reads a whole table of contents, whatever length that claims."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises ``ImportRefused`` for more than any table of contents needs."""
        most = bounds.MAX_DIRECTORY_BYTES
        data = self._file.read(most + 1 if size < 0 else min(size, most + 1))
        if len(data) > most:
            raise ImportRefused("its table of contents is far too large; check where the file came from")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """As for the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As for the file."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return True."""
        return True


def read_at_most(stream: Readable, most: int) -> bytes:
    """Return the rest of a stream. Raises ``EntryTooLarge`` for more than ``most`` bytes."""
    data = bytearray()
    while chunk := stream.read(min(CHUNK, most + 1 - len(data))):
        data += chunk
        if len(data) > most:
            raise EntryTooLarge(f"larger than {most >> 20} MB")
    return bytes(data)
