"""Read the cursors of endpoints from the broker: where each is, and where its log ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bridge.core.lag import CursorLag, cursor_lags
from bridge.kafka.session import AdminSession
from bridge.model import Committed, Partition
from bridge.settings import Settings
from bridge.wiring.topics import build_selection


async def read_cursor_lags(visit: AdminSession, settings: Settings, names: Iterable[str]) -> list[CursorLag]:
    """Return the rows of these cursors. Raises ``KafkaUnavailable``, ``CommitError``."""
    topics = build_selection(settings).select(await visit.topics())
    committed = {name: await _committed(visit, f"{settings.group}.{name}", topics) for name in names}
    elsewhere = {partition.topic for places in committed.values() for partition in places}
    marks = await visit.high_watermarks(topics | elsewhere)
    ends = await visit.log_ends(topics | elsewhere)
    return [
        row
        for name, places in committed.items()
        for configured in [name in settings.endpoints]
        for row in cursor_lags(
            name,
            configured,
            places,
            ends,
            [partition for partition in ends if configured and partition.topic in topics],
            marks,
        )
    ]


async def _committed(visit: AdminSession, group: str, topics: Collection[str]) -> dict[Partition, Committed]:
    """Return all offsets of a group.

    If the broker returns none, read those of the topics: the mock cluster of the demo returns no
    offset of a partition that is not named.
    """
    committed = await visit.committed(group)
    if committed or not topics:
        return committed
    return await visit.offsets.fetch(group, await visit.log_ends(topics))
