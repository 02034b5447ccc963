"""When a consumer that hears nothing is broken: not in an outage, a rebalance, or after a sleep."""

from __future__ import annotations

from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_liveness import Silence

PATIENCE_S = 100.0


class Listening(Silence):
    """With a clock to move and a broker that answers or does not."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.there = True
        self.probes = 0
        super().__init__(KafkaOptions(("nowhere:9092",)), PATIENCE_S, clock=lambda: self.now)

    async def _broker_answers(self) -> bool:
        self.probes += 1
        return self.there

    async def ask(self, seconds: float) -> str | None:
        """Every second, until it is too long or the time is over."""
        for _ in range(int(seconds)):
            self.now += 1
            found = await self.too_long()
            if found is not None:
                return found
        return None


async def test_it_is_too_long_after_the_patience_while_the_broker_answers() -> None:
    silence = Listening()
    assert await silence.ask(PATIENCE_S) is None
    found = await silence.ask(30)
    assert found is not None
    assert "the broker answers" in found
    assert silence.probes < 30


async def test_whatever_is_heard_begins_it_anew() -> None:
    silence = Listening()
    for _ in range(10):
        assert await silence.ask(PATIENCE_S) is None
        silence.broken()


async def test_an_outage_is_no_silence() -> None:
    """Nor is the time right after it."""
    silence = Listening()
    silence.there = False
    assert await silence.ask(3600) is None
    silence.there = True
    assert await silence.ask(PATIENCE_S - 1) is None


async def test_a_process_that_stood_still_has_not_listened() -> None:
    silence = Listening()
    silence.now += 3600
    assert await silence.ask(PATIENCE_S) is None
