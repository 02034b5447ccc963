"""The durable producer: what it is configured with, and what becomes of the client's exceptions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from structlog.testing import capture_logs

from bridge.errors import BrokerError, ClientFailed, RecordTooLarge
from bridge.kafka.client import KafkaOptions
from bridge.kafka.producer import DurableProducer, NewRecord
from bridge.telemetry import events


class FakeClient:
    """An aiokafka producer; ``at_once`` and ``later`` fail the record with that value."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.at_once: dict[bytes, Exception] = {}
        self.later: dict[bytes, Exception] = {}
        self.sent: list[bytes] = []
        self.stopped = False
        self._sync_task: asyncio.Future[None] | None = None

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        self.stopped = True

    async def send(self, topic: str, value: bytes, key: bytes | None, **_: Any) -> asyncio.Future[None]:
        if value in self.at_once:
            raise self.at_once[value]
        self.sent.append(value)
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if value in self.later:
            acknowledged.set_exception(self.later[value])
        else:
            acknowledged.set_result(None)
        return acknowledged

    async def send_and_wait(self, topic: str, value: bytes, key: bytes | None = None, **more: Any) -> None:
        await (await self.send(topic, value, key, **more))


async def started(*clients: FakeClient) -> tuple[DurableProducer, list[FakeClient]]:
    """Return a started producer over these clients, in the order in which it creates them."""
    unused, created = list(clients), []

    def create(**arguments: Any) -> FakeClient:
        client = unused.pop(0) if unused else FakeClient()
        client.arguments = arguments
        created.append(client)
        return client

    producer = DurableProducer(KafkaOptions(("nowhere:1",)), "tests", create=create)
    await producer.start()
    return producer, created


def records(*values: bytes) -> list[NewRecord]:
    return [NewRecord("g.again", value) for value in values]


async def test_a_write_needs_all_replicas_and_is_idempotent() -> None:
    _, (client,) = await started()
    assert client.arguments["acks"] == "all"
    assert client.arguments["enable_idempotence"] is True


async def test_the_records_of_a_batch_are_sent_in_order_and_each_has_its_own_outcome() -> None:
    client = FakeClient()
    client.at_once[b"b"], client.later[b"c"] = MessageSizeTooLargeError(), KafkaTimeoutError()
    producer, _ = await started(client)
    outcomes = await producer.write_all(records(b"a", b"b", b"c", b"d"))
    assert client.sent == [b"a", b"c", b"d"]
    assert [type(outcome) for outcome in outcomes] == [type(None), RecordTooLarge, BrokerError, type(None)]


@pytest.mark.parametrize(
    ("error", "raised", "text"),
    [
        (MessageSizeTooLargeError(), RecordTooLarge, "max.message.bytes"),
        (KafkaTimeoutError(), BrokerError, "cannot write to topic 'g.again': KafkaTimeoutError"),
        (TimeoutError(), BrokerError, "the broker did not answer within 30 s; check kafka.bootstrap_servers"),
        (OSError("no route"), BrokerError, "no route"),
    ],
)
async def test_every_failure_of_the_client_is_a_broker_error(
    error: Exception, raised: type[Exception], text: str
) -> None:
    client = FakeClient()
    client.at_once[b"a"] = error
    producer, _ = await started(client)
    with pytest.raises(raised, match=text) as caught:
        await producer.write(NewRecord("g.again", b"a"))
    assert type(caught.value) is raised


async def test_a_producer_that_raises_what_it_should_not_is_replaced_before_the_next_write() -> None:
    client = FakeClient()
    client.at_once[b"a"] = TypeError("no such codec")
    producer, created = await started(client)
    with capture_logs() as logs, pytest.raises(ClientFailed, match="TypeError: no such codec"):
        await producer.write(NewRecord("g.again", b"a"))
    assert [line["exception"] for line in logs if line["event"] == events.CLIENT_FAILED] == ["TypeError"]
    await producer.write(NewRecord("g.again", b"a"))
    assert (created[0].stopped, created[1].sent) == (True, [b"a"])


async def test_a_producer_is_replaced_when_one_record_of_many_fails_unexpectedly() -> None:
    client = FakeClient()
    client.later[b"b"] = AssertionError("no sequence")
    producer, created = await started(client)
    errors = await producer.write_all([NewRecord("g.again", value) for value in (b"a", b"b", b"c")])
    assert [type(error) for error in errors] == [type(None), ClientFailed, type(None)]
    await producer.write(NewRecord("g.again", b"b"))
    assert created[1].sent == [b"b"]


async def test_a_client_whose_background_task_ended_is_replaced_before_the_next_write() -> None:
    producer, created = await started()
    dead = asyncio.get_running_loop().create_future()
    dead.set_result(None)
    created[0]._sync_task = dead
    with capture_logs() as logs:
        await producer.write(NewRecord("g.again", b"a"))
    assert (created[0].stopped, created[0].sent, created[1].sent) == (True, [], [b"a"])
    ((event, client),) = [(line["event"], line["client"]) for line in logs]
    assert (event, client) == (events.CLIENT_REPLACED, "tests")
    await producer.close()
    assert created[1].stopped
