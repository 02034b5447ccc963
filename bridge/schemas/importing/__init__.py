"""``hookferry schemas import``: Avro schemas out of the Fineract that a user runs, into a folder.

For the command, not on the path. Takes a path, gives a ``Summary``; what goes wrong with one file is a
line in it, never the end of the import. Nothing is ever unpacked to a place that an archive names. Edge
floor. Below lie ``reading`` (folders and archives to pieces), ``budget`` (what they may cost), ``tarball``
and ``class_file`` (formats), ``collecting`` (pieces to schemas), ``storing`` (schemas to files) and
``comparing`` (what differs between two).
"""

from __future__ import annotations

from pathlib import Path

from bridge.schemas.importing.budget import Budget
from bridge.schemas.importing.collecting import collect
from bridge.schemas.importing.reading import pieces
from bridge.schemas.importing.storing import Summary, store


def import_schemas(source: Path, into: Path) -> Summary:
    """Store every schema found in ``source`` in the folder ``into``, by fingerprint.

    Raises ``ImportRefused`` for a source that cannot be read at all or that costs out of all proportion,
    and for a folder that cannot be written.
    """
    budget = Budget()
    return store(collect(pieces(source, budget), budget), into)
