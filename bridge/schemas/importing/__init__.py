"""``hookferry schemas import``: copies the Avro schemas of a Fineract into a folder.

A problem with one file is a line in the ``Summary`` and never ends the import. Nothing is ever unpacked to a
path that an archive names. ``reading`` finds files in folders and archives, ``budget`` limits them,
``tarball`` and ``class_file`` read two formats, ``collecting`` finds the schemas in the files, ``storing``
writes them, and ``comparing`` lists the differences between two.
"""

from __future__ import annotations

from pathlib import Path

from bridge.schemas.importing.budget import Budget
from bridge.schemas.importing.collecting import collect
from bridge.schemas.importing.reading import read_pieces
from bridge.schemas.importing.storing import Summary, store


def import_schemas(source: Path, into: Path) -> Summary:
    """Store every schema found in ``source`` in the folder ``into``, by fingerprint.

    Raises ``ImportRefused`` for a source that cannot be read at all or exceeds the budget, and for a folder
    that cannot be written.
    """
    budget = Budget()
    return store(collect(read_pieces(source, budget), budget), into)
