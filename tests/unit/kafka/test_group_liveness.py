"""A silent group means a stuck consumer, but not in an outage, in a rebalance or after a suspension."""

from __future__ import annotations

import time

from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_liveness import GroupLiveness, Lease

MAX_SILENCE_S = 100.0


class SimulatedLiveness(GroupLiveness):
    """A liveness with a clock to move, and a broker that answers or does not."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.broker_answers = True
        self.probes = 0
        super().__init__(KafkaOptions(("nowhere:9092",)), MAX_SILENCE_S, clock=lambda: self.now)

    async def _broker_answers(self) -> bool:
        self.probes += 1
        return self.broker_answers

    async def ask(self, seconds: float) -> str | None:
        """Call it every second, until it returns a cause or the time is over."""
        for _ in range(int(seconds)):
            self.now += 1
            cause = await self.stuck_cause()
            if cause is not None:
                return cause
        return None


async def test_the_consumer_is_stuck_after_the_limit_while_the_broker_answers() -> None:
    liveness = SimulatedLiveness()
    assert await liveness.ask(MAX_SILENCE_S) is None
    cause = await liveness.ask(30)
    assert cause is not None
    assert "the broker answers" in cause
    assert liveness.probes < 30


async def test_every_answer_of_the_group_restarts_the_measurement() -> None:
    liveness = SimulatedLiveness()
    for _ in range(10):
        assert await liveness.ask(MAX_SILENCE_S) is None
        liveness.note_answer()


async def test_the_time_of_an_outage_does_not_count() -> None:
    """The measurement starts after it, too."""
    liveness = SimulatedLiveness()
    liveness.broker_answers = False
    assert await liveness.ask(3600) is None
    liveness.broker_answers = True
    assert await liveness.ask(MAX_SILENCE_S - 1) is None


async def test_the_time_in_which_the_process_was_suspended_does_not_count() -> None:
    liveness = SimulatedLiveness()
    liveness.now += 3600
    assert await liveness.ask(MAX_SILENCE_S) is None


def test_a_lease_lasts_a_session_timeout_from_the_latest_accepted_request() -> None:
    lease, now = Lease(45), time.monotonic()
    lease.renew(now - 46)
    assert not lease.valid
    lease.renew(now - 10)
    lease.renew(now - 46)
    assert lease.valid, "an answer that came late shortened the lease"
