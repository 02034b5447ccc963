"""A batch that the broker refused leaves no gap in the sequence; a producer that lost count is replaced."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import aiokafka.producer.sender
import pytest
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaConnectionError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    TopicAuthorizationFailedError,
)

from bridge.errors import BrokerError
from bridge.kafka.aiokafka_patches import sequence
from bridge.kafka.client import KafkaOptions
from bridge.kafka.producer import DurableProducer, NewRecord


class Counter:
    """The sequence numbers of a producer."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, int]] = []

    def increment_sequence_number(self, partition: str, increment: int) -> None:
        self.changes.append((partition, increment))


async def changes_after(error: Exception | None, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return the changes of the count after an answer that ended a batch of three records so."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def handle(self: Any, response: Any) -> None:
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    monkeypatch.setattr(sequence.SendProduceReqHandler, "handle_response", handle)
    counter = Counter()
    handler = sequence.PatchedHandler.__new__(sequence.PatchedHandler)
    handler._sender = SimpleNamespace(_txn_manager=counter)
    handler._batches = {"t-0": SimpleNamespace(future=future, record_count=3)}
    handler.handle_response(None)
    return counter.changes


@pytest.mark.parametrize("error", [MessageSizeTooLargeError(), TopicAuthorizationFailedError()])
async def test_the_records_of_a_refused_batch_are_not_counted(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await changes_after(error, monkeypatch) == [("t-0", -3)]


@pytest.mark.parametrize(
    "error", [None, OutOfOrderSequenceNumber(), InvalidProducerEpoch(), KafkaConnectionError()]
)
async def test_other_batches_stay_counted(error: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written ones, and those for which the broker expects another number or gave no answer."""
    assert await changes_after(error, monkeypatch) == []


def test_the_producer_uses_the_corrected_handler() -> None:
    assert aiokafka.producer.sender.SendProduceReqHandler is sequence.PatchedHandler


class Client:
    """An aiokafka producer that raises this error, or accepts every record. Counts what it sends at once."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.sent = self.in_flight = self.most_in_flight = 0
        self._sync_task = None

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        return

    async def send(self, *_: Any, **__: Any) -> asyncio.Future[None]:
        if self.error is not None:
            raise self.error
        self.sent += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return asyncio.ensure_future(self._acknowledge())

    async def _acknowledge(self) -> None:
        await asyncio.sleep(0.01)
        self.in_flight -= 1


async def producer_over(*clients: Client) -> DurableProducer:
    unused = list(clients)
    options = KafkaOptions(("k1:9092", "k2:9092"))
    producer = DurableProducer(options, "tests", create=lambda **_: unused.pop(0))
    await producer.start()
    return producer


@pytest.mark.parametrize("error", [OutOfOrderSequenceNumber(), InvalidProducerEpoch()])
async def test_a_producer_of_which_the_broker_accepts_nothing_more_is_replaced(error: Exception) -> None:
    working = Client()
    producer = await producer_over(Client(error), working)
    with pytest.raises(BrokerError):
        await producer.write(NewRecord("g.parked", b"a"))
    await producer.write(NewRecord("g.parked", b"a"))
    assert working.sent == 1


async def test_a_refusal_for_the_size_names_the_command_with_enough_room() -> None:
    producer = await producer_over(Client(MessageSizeTooLargeError()))
    with pytest.raises(BrokerError, match=r"more than max\.message\.bytes of the topic allows") as caught:
        await producer.write(NewRecord("g.parked", b"a" * 3_000_000))
    assert caught.value.remedy == (
        "run: kafka-configs.sh --bootstrap-server k1:9092,k2:9092 --alter --entity-type topics"
        " --entity-name g.parked --add-config max.message.bytes=2097152,compression.type=producer"
    )


async def test_large_records_are_written_one_at_a_time_and_small_ones_together() -> None:
    """A request has the batches of all partitions, and a broker closes the connection above 100 MiB."""
    client = Client()
    producer = await producer_over(client)
    large = [NewRecord("g.parked", b"a" * 2_000_000, partition=number) for number in range(4)]
    await asyncio.gather(*map(producer.write, large), producer.write_all(large))
    assert (client.sent, client.most_in_flight) == (8, 1)
    await producer.write_all([NewRecord("g.parked", b"a")] * 5)
    assert client.most_in_flight == 5


async def test_a_record_that_no_request_can_hold_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.kafka.producer._REQUEST_MAX_BYTES", 1_500_000)
    client = Client()
    producer = await producer_over(client)
    await producer.write(NewRecord("g.parked", b"a" * 2_000_000))
    with pytest.raises(BrokerError, match="the largest request"):
        await producer.write(NewRecord("g.parked", random.Random(7).randbytes(2_000_000)))
    assert client.sent == 1
