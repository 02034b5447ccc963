"""Decode a record outside a running bridge. Each schema is fetched once, when it is needed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.model import Event, Record
    from bridge.settings import Settings


def decode_record(settings: Settings, record: Record) -> Sequence[Event] | None:
    """Return the events of the record, or None if no source reads its topic.

    Raises ``DecodeError``, ``RegistryUnavailable``, ``ConfigError``.
    """
    return asyncio.run(_decode(settings, record))


async def _decode(settings: Settings, record: Record) -> Sequence[Event] | None:
    from bridge.errors import SchemaNeeded
    from bridge.model import Event
    from bridge.wiring.decoders import build_decoders, build_registries

    decoders = build_decoders(settings)
    try:
        decoder = decoders[record.partition.topic]
    except KeyError:
        return None
    registries = build_registries(settings.sources, decoders.by_source)
    try:
        while True:  # ends: a record names one schema, and fetching it gives a schema or a DecodeError
            try:
                return [item for item in decoder.decode(record) if isinstance(item, Event)]
            except SchemaNeeded as needed:
                await registries.learn(needed)
    finally:
        await registries.close()
