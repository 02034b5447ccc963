"""Finds the schema files and class files in folders and archives.

It writes nothing except an unnamed temporary file for an archive inside an archive. Names in archives are
only labels here, never paths. A problem with an inner file becomes a ``Skip``, so that the rest is read.
"""

from __future__ import annotations

import gzip
import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import IO, NamedTuple, cast

from bridge.schemas.importing import budget as bounds
from bridge.schemas.importing import tarball
from bridge.schemas.importing.budget import Budget, EntryTooLarge, ImportRefused
from bridge.schemas.importing.streams import CHUNK, BoundedFile, CountedStream, Readable, read_at_most

_IN_MEMORY_BYTES = 32 << 20
_ARCHIVES = (".jar", ".war", ".zip")
_METHODS = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
)  # other methods may allocate gigabytes before the first byte
_REMEDY = (
    "name Fineract's jar, its boot jar, its release tarball, a source checkout, or a folder with .avsc files"
)


class SchemaFile(NamedTuple):
    """A JSON file. Its names resolve within its ``container``: an archive, or the folder."""

    origin: str
    container: str
    path: PurePosixPath
    data: bytes


class ClassFile(NamedTuple):
    """A Java class, which may contain a complete schema."""

    origin: str
    data: bytes


class Skip(NamedTuple):
    """A file that was skipped, and the reason."""

    origin: str
    reason: str


Piece = SchemaFile | ClassFile | Skip


def read_pieces(source: Path, budget: Budget) -> Iterator[Piece]:
    """Yield every piece in a folder or a file. Raises ``ImportRefused``."""
    try:
        if source.is_dir():
            yield from _Reader(budget).folder(source)
        else:
            with source.open("rb") as file:
                yield from _Reader(budget).file(file, source.name, source.name)
    except OSError as exc:
        raise ImportRefused(f"{source}: cannot be read: {exc.strerror or exc}; {_REMEDY}") from exc
    except ImportRefused as exc:
        raise ImportRefused(f"{source}: {exc}") from exc


class _Reader:
    """Reads nested containers against one budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def folder(self, root: Path) -> Iterator[Piece]:
        """Yield the pieces below a folder; hidden files, links and special files are skipped."""
        label = root.resolve().name
        for parent, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(parent, name)
                relative = path.relative_to(root)
                origin = PurePosixPath(label, relative.as_posix()).as_posix()
                if name.startswith(".") or not _is_wanted(name):
                    continue
                self._budget.entry()
                if not stat.S_ISREG(path.lstat().st_mode):
                    yield Skip(origin, "a link, or not a regular file")
                    continue
                try:
                    with path.open("rb") as file:
                        yield from self.file(file, origin, label, path=PurePosixPath(relative.as_posix()))
                except ImportRefused as exc:
                    if not name.endswith(_ARCHIVES):
                        raise
                    yield Skip(origin, str(exc))
                except OSError as exc:
                    yield Skip(origin, f"cannot be read: {exc.strerror}")

    def file(
        self, file: IO[bytes], origin: str, container: str, *, path: PurePosixPath | None = None
    ) -> Iterator[Piece]:
        """Yield the pieces in a file on disk. Raises ``ImportRefused`` if its kind is not known."""
        start = file.read(512)
        file.seek(0)
        if start[:4] == b"\xca\xfe\xba\xbe" or origin.endswith((".avsc", ".class")):
            yield from self._leaf(cast("Readable", file), origin, container, path or PurePosixPath(origin))
            return
        self._budget.packed(os.fstat(file.fileno()).st_size)
        if start[:2] == b"PK":
            yield from self._refuse_damaged(self._zip(file, origin, 1), "a zip or jar")
        elif start[:2] == b"\x1f\x8b":
            with closing(gzip.GzipFile(fileobj=file)) as unpacked:
                tar = cast("IO[bytes]", CountedStream(unpacked, self._budget))
                yield from self._refuse_damaged(self._tar(tar, origin), "a .tar.gz")
        elif start[257:262] == b"ustar":
            yield from self._refuse_damaged(self._tar(file, origin), "a tar archive")
        else:
            raise ImportRefused(f"neither a jar, a zip, a .tar.gz nor a tar; {_REMEDY}")

    @staticmethod
    def _refuse_damaged(pieces: Iterator[Piece], kind: str) -> Iterator[Piece]:
        try:
            yield from pieces
        except ImportRefused:
            raise
        except Exception as exc:  # zipfile, gzip and zlib do not document the types of their errors
            raise ImportRefused(f"not {kind}, or a damaged one ({_describe(exc)}); {_REMEDY}") from exc

    def _zip(self, file: IO[bytes], origin: str, depth: int) -> Iterator[Piece]:
        with zipfile.ZipFile(cast("IO[bytes]", BoundedFile(file))) as archive:
            for info in archive.infolist():
                self._budget.entry()
                name = info.filename
                if info.is_dir() or not _is_wanted(name):
                    continue
                inner = f"{origin}!{name}"
                reason = _unsafe(name) or _unreadable(info)
                if reason:
                    yield Skip(inner, reason)
                    continue
                try:
                    with archive.open(info) as stream:
                        counted = CountedStream(stream, self._budget)
                        yield from self._entry(counted, inner, origin, name, depth)
                except ImportRefused:
                    raise
                except Exception as exc:  # as above; one damaged entry must not hide the others
                    yield Skip(inner, _describe(exc))

    def _tar(self, stream: IO[bytes], origin: str) -> Iterator[Piece]:
        for entry in tarball.read_entries(stream):
            self._budget.entry()
            if not _is_wanted(entry.name):
                continue
            inner = f"{origin}!{entry.name}"
            reason = _unsafe(entry.name) or entry.special
            if reason:
                yield Skip(inner, reason)
                continue
            try:
                yield from self._entry(entry.content, inner, origin, entry.name, 1)
            except EntryTooLarge as exc:
                yield Skip(inner, _describe(exc))

    def _entry(self, stream: Readable, inner: str, container: str, name: str, depth: int) -> Iterator[Piece]:
        """Yield the pieces in an entry of an archive, which may be an archive itself."""
        if not name.endswith(_ARCHIVES):
            yield from self._leaf(stream, inner, container, PurePosixPath(name))
            return
        if depth >= bounds.MAX_DEPTH:
            yield Skip(inner, f"an archive nested more than {bounds.MAX_DEPTH} deep")
            return
        with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as copy:
            size = 0
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > bounds.MAX_ARCHIVE_BYTES:
                    raise EntryTooLarge(f"larger than {bounds.MAX_ARCHIVE_BYTES >> 30} GB")
                copy.write(chunk)
            copy.seek(0)
            try:
                yield from self._zip(cast("IO[bytes]", copy), inner, depth + 1)
            except zipfile.BadZipFile as exc:
                yield Skip(inner, f"a damaged archive ({_describe(exc)})")

    @staticmethod
    def _leaf(stream: Readable, inner: str, container: str, path: PurePosixPath) -> Iterator[Piece]:
        is_class = path.suffix == ".class"
        most = bounds.MAX_CLASS_BYTES if is_class else bounds.MAX_TEXT_BYTES
        try:
            data = read_at_most(stream, most)
        except EntryTooLarge as exc:
            yield Skip(inner, str(exc))
            return
        yield ClassFile(inner, data) if is_class else SchemaFile(inner, container, path, data)


def _is_wanted(name: str) -> bool:
    return name.endswith((".avsc", ".class", *_ARCHIVES))


def _unsafe(name: str) -> str | None:
    """Return why a name is refused, or None. Valid archives do not contain such names."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or name[1:2] == ":":
        return "its path leads out of the archive"
    return None


def _unreadable(info: zipfile.ZipInfo) -> str | None:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a symbolic link"
    if info.flag_bits & 1:
        return "encrypted"
    return None if info.compress_type in _METHODS else "compressed with a method that jars do not use"


def _describe(exc: Exception) -> str:
    return str(exc)[:200] or type(exc).__name__
