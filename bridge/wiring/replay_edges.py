"""What the replays reach outside the process with, in addition to the edges of the path.

Invariant: a run has connections, a dedupe window and a journal of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath

from bridge.dead_letters.parked_before import ParkedBefore
from bridge.http import Transport
from bridge.http.tls import SystemTls
from bridge.kafka.side_reader import SideReader
from bridge.pipeline.dedupe_window import DedupeWindow
from bridge.pipeline.ports import FirstOffsets, ParkedRecords, RecordDecoder
from bridge.settings import Settings
from bridge.storage.dedupe_index import KeyIndex
from bridge.wiring.endpoints import build_egress, build_transport
from bridge.wiring.kafka import build_letters
from bridge.wiring.path import build_side_window


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayEdges:
    """What a run reaches outside the process with, in addition to the edges of the path."""

    open_transport: Callable[[str], Transport]
    """Build a transport to an endpoint, with separate connections."""
    open_window: Callable[[], AbstractContextManager[FirstOffsets]]
    open_parked_before: Callable[[], ParkedRecords]
    folder: FilePath
    """Where the journals of the replays are."""


def build_replay_edges(
    in_force: Callable[[], Settings],
    decoders: Mapping[str, RecordDecoder],
    index: KeyIndex,
    open_side_reader: Callable[[], SideReader],
    may_write: Callable[[], bool],
) -> ReplayEdges:
    """Build what the runs reach outside the process with. ``index`` is that of the main reader.

    ``in_force`` returns the configuration in force.
    """
    settings, system = in_force(), SystemTls()

    def open_transport(name: str) -> Transport:
        now = in_force()
        return build_transport(name, now.endpoints[name], build_egress(now), system, may_write)

    @contextmanager
    def open_window() -> Iterator[DedupeWindow]:
        window = build_side_window(settings, index, decoders, open_side_reader)
        try:
            yield window
        finally:
            window.close()

    return ReplayEdges(
        open_transport=open_transport,
        open_window=open_window,
        open_parked_before=lambda: ParkedBefore(lambda: build_letters(settings)),
        folder=settings.state_dir / "replays",
    )
