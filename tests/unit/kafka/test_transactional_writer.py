"""Transactions: all or nothing, and an older writer is told that a newer one has taken over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaConnectionError,
    MessageSizeTooLargeError,
    ProducerFenced,
)

from bridge.errors import BrokerError, RecordTooLarge
from bridge.kafka.client import KafkaOptions
from bridge.kafka.producer import NewRecord
from bridge.kafka.transactions import Fenced, TransactionalWriter

RECORD = NewRecord("g.again", b"{}", b"k", 1)


class FakeClient:
    """A producer of aiokafka that notes its calls; ``fails`` has the error of a call by its name."""

    fails: ClassVar[dict[str, Exception]] = {}
    calls: ClassVar[list[str]] = []

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.client = SimpleNamespace(_sync_task=None)
        self._sender = SimpleNamespace(sender_task=None)

    async def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise self.fails[name]

    async def start(self) -> None:
        await self._call("start")

    async def stop(self) -> None:
        await self._call("stop")

    async def begin_transaction(self) -> None:
        await self._call("begin")

    async def commit_transaction(self) -> None:
        await self._call("commit")

    async def abort_transaction(self) -> None:
        await self._call("abort")

    async def send(self, topic: str, *_: object, **__: object) -> asyncio.Future[None]:
        await self._call("send")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[FakeClient]:
    monkeypatch.setattr(FakeClient, "fails", {})
    monkeypatch.setattr(FakeClient, "calls", [])
    return FakeClient


def writer_of(client: type[FakeClient]) -> TransactionalWriter:
    return TransactionalWriter(KafkaOptions(("kafka.test:9092",)), "g.resend.1", create=client)  # type: ignore[arg-type]  # only what it calls


async def write_one(client: type[FakeClient]) -> None:
    async with writer_of(client) as writer:
        await writer.add([RECORD])
        await writer.commit()


async def test_records_are_written_in_transactions_one_after_the_other(client: type[FakeClient]) -> None:
    async with writer_of(client) as writer:
        for _ in range(2):
            await writer.add([RECORD, RECORD])
            await writer.commit()
    assert client.calls == [
        "start",
        "begin",
        "send",
        "send",
        "commit",
        "begin",
        "send",
        "send",
        "commit",
        "stop",
    ]


async def test_what_is_not_committed_is_aborted_at_the_end(client: type[FakeClient]) -> None:
    async with writer_of(client) as writer:
        await writer.add([RECORD])
    assert client.calls[-2:] == ["abort", "stop"]


@pytest.mark.parametrize("error", [ProducerFenced(), InvalidProducerEpoch()])
@pytest.mark.parametrize("call", ["send", "commit"])
async def test_a_writer_that_was_replaced_is_fenced(
    client: type[FakeClient], error: Exception, call: str
) -> None:
    client.fails[call] = error
    with pytest.raises(Fenced):
        await write_one(client)


async def test_other_errors_are_those_of_the_broker_and_a_start_names_what_it_needs(
    client: type[FakeClient],
) -> None:
    client.fails["commit"] = KafkaConnectionError("gone")
    with pytest.raises(BrokerError, match="cannot commit a transaction") as caught:
        await write_one(client)
    assert not isinstance(caught.value, Fenced)
    client.fails["start"] = KafkaConnectionError("gone")
    with pytest.raises(BrokerError, match=r"transactional id 'g\.resend\.1'"):
        await write_one(client)
    assert client.calls[-1] == "stop"


async def test_a_record_that_does_not_fit_is_named_with_the_limit_it_needs(client: type[FakeClient]) -> None:
    client.fails["send"] = MessageSizeTooLargeError("too large")
    with pytest.raises(RecordTooLarge, match=r"max\.message\.bytes") as caught:
        await write_one(client)
    assert "--entity-name g.again" in caught.value.remedy
