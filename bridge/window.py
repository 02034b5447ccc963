"""Edge of step 3: the dedupe window of each partition, kept whole across restarts and rebalances.

The index (``bridge/index.py``) is a function of the log, so what it does not cover is read from
the log again, keys only. Edge floor.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import structlog

from bridge.decode import Decoder
from bridge.dedupe import Claim, claim, missing
from bridge.errors import DecodeError
from bridge.index import KeyIndex
from bridge.model import Partition, Record
from bridge.source import stretch
from bridge.source.client import KafkaOptions
from bridge.telemetry import events

_log = structlog.get_logger()


class DedupeWindow:
    """Makes sure that the index knows the window before a record, and answers for it from then on."""

    def __init__(
        self,
        index: KeyIndex,
        decoders: Mapping[str, Decoder],
        options: KafkaOptions,
        *,
        window_s: float,
        max_keys: int,
    ) -> None:
        self._index = index
        self._decoders = decoders
        self._options = options
        self._window_ms = int(window_s * 1000)
        self._max_keys = max_keys
        self.claim = index.claim

    async def cover(self, partition: Partition, first: Record) -> None:
        """Read again what the index lacks of the window before ``first``. Raises ``KafkaUnavailable``."""
        began = time.monotonic()
        reader = first.offset
        covered = self._index.covered(partition)
        if covered is not None and covered.start == 0 and covered.end >= reader:
            return
        at = await stretch.offset_at(self._options, partition, first.timestamp_ms - self._window_ms)
        lacking = missing(covered, reader if at is None else at, reader, self._max_keys)
        if lacking is None:
            if covered is None or covered.end < reader:
                self._index.reset(partition, reader)
            return
        if covered is None or lacking.start != covered.end:
            self._index.reset(partition, lacking.start)
        keys = 0
        async for records in stretch.read_stretch(self._options, partition, lacking.start, lacking.end):
            claims = self._claims(partition, records)
            keys += len(claims)
            self._index.claim(partition, claims, records[-1].offset + 1, records[-1].timestamp_ms)
        self._index.claim(partition, [], lacking.end, first.timestamp_ms)
        _log.info(
            events.INDEX_REBUILT, partition=str(partition), start=lacking.start, end=lacking.end, keys=keys,
            duration_s=round(time.monotonic() - began, 2),
        )  # fmt: skip

    def _claims(self, partition: Partition, records: Sequence[Record]) -> list[Claim]:
        decode = self._decoders[partition.topic].decode
        claims: list[Claim] = []
        for record in records:
            if record.value is None:
                continue
            try:
                claims.extend(claim(event) for event in decode(record))
            except DecodeError:
                continue  # it was parked when it was first read; it has no key to remember
        return claims
