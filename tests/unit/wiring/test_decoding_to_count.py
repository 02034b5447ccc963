"""Commands that count events decode records as the path does: with schemas that are read when needed."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.errors import DecodeError, RegistryUnavailable, SchemaNeeded
from bridge.model import Partition, Record
from bridge.wiring.counting import decode_or_learn

RECORD = Record(Partition("orders", 3), 17, 1_700_000_000_123, b"key", b"value")


class Steps:
    """A decoder and a registry: each call of ``decode`` takes the next step, an error or the events."""

    def __init__(self, *steps: Exception | list[str], away: bool = False) -> None:
        self._steps = list(steps)
        self._away = away
        self.learned: list[object] = []

    def decode(self, record: Record) -> list[str]:
        step = self._steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def learn(self, needed: SchemaNeeded) -> None:
        if self._away:
            raise RegistryUnavailable("no answer")
        self.learned.append(needed)

    async def run(self) -> Sequence[Any]:
        decoders: Any = {"orders": SimpleNamespace(decode=self.decode)}
        registries: Any = self
        return await decode_or_learn(RECORD, decoders, registries)


NEEDED = SchemaNeeded("orders", "7")


async def test_each_schema_that_is_needed_is_read_before_the_events_are_returned() -> None:
    steps = Steps(NEEDED, NEEDED, ["a", "b"])
    assert await steps.run() == ["a", "b"]
    assert steps.learned == [NEEDED, NEEDED]


async def test_a_record_that_cannot_be_decoded_has_no_events() -> None:
    assert await Steps(NEEDED, DecodeError("orders-3@17", "damaged", "none")).run() == ()


async def test_a_registry_that_does_not_answer_is_the_callers_case() -> None:
    with pytest.raises(RegistryUnavailable):
        await Steps(NEEDED, ["a"], away=True).run()
