"""Records decoded outside of a running bridge: schemas are fetched as they are needed, once each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.model import Event, Record
    from bridge.settings import Settings


def decoded(settings: Settings, record: Record) -> Sequence[Event] | None:
    """The events of a record of a source topic; None where no source reads its topic.

    Raises ``DecodeError``, ``RegistryUnavailable``, ``ConfigError``.
    """
    return asyncio.run(_decoded(settings, record))


async def _decoded(settings: Settings, record: Record) -> Sequence[Event] | None:
    from bridge.errors import SchemaNeeded
    from bridge.model import Event
    from bridge.wiring.decoders import build_decoders, build_registries

    decoders = build_decoders(settings)
    decoder = decoders.get(record.partition.topic)
    if decoder is None:
        return None
    registries = build_registries(settings.sources, decoders)
    try:
        while True:  # a record names one schema, and learning it ends in a schema or in a DecodeError
            try:
                return [item for item in decoder.decode(record) if isinstance(item, Event)]
            except SchemaNeeded as needed:
                await registries.learn(needed)
    finally:
        await registries.close()
