"""The limits of an import: bytes, entries and schemas, counted over everything that is read. Pure.

A crafted archive can contain 4 GB in 4 MB, a million entries, or itself.
"""

from __future__ import annotations

from bridge.errors import HookferryError

MAX_TEXT_BYTES = 4 << 20  # one schema file; Fineract's largest has 60 kB
MAX_CLASS_BYTES = 16 << 20
MAX_ARCHIVE_BYTES = 2 << 30  # one archive, as a file or inside another; a boot jar has 200 MB
MAX_TOTAL_BYTES = 4 << 30  # everything together, unpacked
MAX_RATIO = 200  # unpacked to packed; jars have 3, schema files in them 20
FREE_BYTES = 64 << 20  # below this, the ratio is not checked
MAX_ENTRIES = 500_000
MAX_SCHEMAS = 10_000
MAX_TEXTS_BYTES = 64 << 20  # all schemas together, with their references; one Fineract has 2 MB
MAX_DIRECTORY_BYTES = 32 << 20  # a zip's table of contents, which is read whole
MAX_DEPTH = 3  # release tarball, boot jar, library jar


class ImportRefused(HookferryError):
    """A source of schemas cannot be read, or exceeds the budget: cause and remedy."""


class EntryTooLarge(Exception):
    """One entry is larger than allowed for its kind; the others are read."""


class Budget:
    """Counts what is read. Every method raises ``ImportRefused`` above its limit."""

    def __init__(self) -> None:
        self._packed = 0
        self._unpacked = 0
        self._entries = 0
        self._schemas = 0
        self._texts = 0

    def packed(self, size_bytes: int) -> None:
        """Count a file on disk before it is unpacked."""
        self._packed += size_bytes

    def unpacked(self, size_bytes: int) -> None:
        """Count bytes that came out of an archive."""
        self._unpacked += size_bytes
        if self._unpacked > MAX_TOTAL_BYTES:
            raise ImportRefused(f"it unpacks to more than {MAX_TOTAL_BYTES >> 30} GB; {_SMALLER}")
        if self._unpacked > FREE_BYTES and self._unpacked > self._packed * MAX_RATIO:
            raise ImportRefused(f"it unpacks to over {MAX_RATIO} times its size, like a zip bomb; {_SMALLER}")

    def entry(self) -> None:
        """Count a file or an entry of an archive."""
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise ImportRefused(f"it has more than {MAX_ENTRIES} entries; {_SMALLER}")

    def schema(self) -> None:
        """Count a file with a schema."""
        self._schemas += 1
        if self._schemas > MAX_SCHEMAS:
            raise ImportRefused(f"it has more than {MAX_SCHEMAS} schemas; {_SMALLER}")

    def text(self, size_bytes: int) -> None:
        """Count the text of schemas in memory."""
        self._texts += size_bytes
        if self._texts > MAX_TEXTS_BYTES:
            raise ImportRefused(f"its schemas have more than {MAX_TEXTS_BYTES >> 20} MB; {_SMALLER}")


_SMALLER = "name only the fineract-avro-schemas jar, or the folder with the .avsc files"
