"""Whatever a client raises: a broker error, one line with the exception, a new client, and progress."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from structlog.testing import capture_logs

from bridge.errors import BrokerError, ClientFailed, CommitError, RecordsDeleted
from bridge.kafka import group_member
from bridge.kafka.aiokafka_patches.closing import close_in_time
from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_reader import Reader
from bridge.kafka.membership import Membership
from bridge.kafka.poison_search import TRIES, PoisonSearch
from bridge.kafka.replaceable_client import ReplaceableClient
from bridge.model import Partition, Record
from bridge.telemetry import events
from tests.support.simulated import simulated

KINDS = [
    UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "bad"),
    ValueError("x"),
    AssertionError(),
    MemoryError(),
    SystemError("y"),
]


@pytest.mark.parametrize("error", KINDS, ids=lambda error: type(error).__name__)
async def test_any_exception_of_a_client_is_a_broker_error_with_its_type(error: Exception) -> None:
    with pytest.raises(BrokerError, match=type(error).__name__) as caught:
        async with broker_call(f"do {type(error).__name__}"):
            raise error
    assert (type(caught.value), caught.value.__cause__) == (ClientFailed, error)


async def test_a_request_that_an_old_broker_does_not_have_is_no_failure_of_the_client() -> None:
    with capture_logs() as logs, pytest.raises(BrokerError, match="no version of this request") as caught:
        async with broker_call("leave group 'g'"):
            raise NotImplementedError("Support for LeaveGroup v3 has not yet been added")
    assert not isinstance(caught.value, ClientFailed), "nothing is replaced"
    assert logs == []


async def test_the_line_has_type_and_text_and_the_traceback_only_once() -> None:
    class NewKindError(Exception):
        pass

    with capture_logs() as logs:
        for action in ("one", "two", "one"):
            with pytest.raises(ClientFailed):
                async with broker_call(action):
                    raise NewKindError("the text")
    lines = [line for line in logs if line["event"] == events.CLIENT_FAILED]
    assert [(line["action"], line["exception"], line["cause"]) for line in lines] == [
        (action, "NewKindError", "the text") for action in ("one", "two")
    ]
    assert [line["exc_info"] is not None for line in lines] == [True, False]


@pytest.mark.parametrize("error", [CommitError("fenced"), RecordsDeleted({})])
async def test_an_error_of_our_own_passes_through(error: Exception) -> None:
    with pytest.raises(type(error)):
        async with broker_call("commit"):
            raise error


async def test_a_cancelled_task_of_the_client_does_not_cancel_the_caller() -> None:
    async def call() -> str:
        try:
            async with broker_call("wait for a future of the client"):
                future = asyncio.get_running_loop().create_future()
                future.cancel()
                await future
        except ClientFailed:
            return "goes on"
        return "?"

    assert await asyncio.ensure_future(call()) == "goes on"


async def test_closing_a_client_that_raises_anything_is_logged_and_ends() -> None:
    async def close() -> None:
        raise RuntimeError("no loop")

    with capture_logs() as logs:
        assert not await close_in_time(close, "close a probe")
    assert [(line["event"], line["cause"]) for line in logs] == [(events.TASK_LEFT, "RuntimeError: no loop")]


@simulated
async def test_a_client_that_fails_at_each_call_is_not_replaced_more_often_than_once_a_second() -> None:
    created: list[Any] = []

    def create() -> Any:
        created.append(SimpleNamespace(_sync_task=None, close=nothing))
        return created[-1]

    async def nothing(*_: Any) -> None:
        return None

    client: ReplaceableClient[Any] = ReplaceableClient(create, nothing, "tests")
    await client.start()
    for _ in range(3):
        with pytest.raises(ClientFailed):
            async with client.call("fail at each call"):
                raise ValueError
    assert len(created) == 3


class PoisonedConsumer:
    """A started consumer of one partition that fails at offset 2, whatever is tried."""

    def __init__(self) -> None:
        self.positions: dict[TopicPartition, int] = {}
        self._client = SimpleNamespace(_sync_task=None)
        self._coordinator = SimpleNamespace(_do_heartbeat=None)
        self._fetcher = None

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    def subscribe(self, **_: Any) -> None:
        return None

    async def getmany(self, *polled: TopicPartition, **_: Any) -> dict[Any, Any]:
        found = {}
        for partition in polled:
            position = self.positions[partition]
            if partition.partition == 1 and position == 2:
                raise ValueError("poison")
            raw = Record(Partition(*partition), position, 0, None, b"v")
            found[partition] = [raw]
            self.positions[partition] += 1
        return found

    async def position(self, partition: TopicPartition) -> int:
        return self.positions[partition]

    def subscription(self) -> frozenset[str]:
        return frozenset()

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("orders", 0), TopicPartition("orders", 1)}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    def resume(self, partition: TopicPartition) -> None:
        return None


async def test_a_consumer_that_fails_forever_at_one_record_hands_it_over_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    consumer = PoisonedConsumer()
    monkeypatch.setattr(group_member, "new_consumer", lambda *_: consumer)

    async def nothing() -> None:
        return None

    reader = Reader(KafkaOptions(("nowhere:1",)), Membership("g", ("orders",)), nothing)
    places = [Partition("orders", number) for number in (0, 1)]
    starts = dict.fromkeys(places, 0)
    got: list[tuple[int, int, bool]] = []
    failures = 0
    while starts[places[1]] < 5:
        if not reader._started:  # a new consumer took over: begin where the last one was
            reader.start_at(starts)
        try:
            batches = await reader.read((), 0.01)
        except ClientFailed:
            failures += 1
            assert failures < 20
            continue
        got += [(p.number, r.offset, r.damage is not None) for p, records in batches for r in records]
        starts |= {p: records[-1].end for p, records in batches}
    assert [(offset, damaged) for number, offset, damaged in got if number == 1] == [
        (0, False), (1, False), (2, True), (3, False), (4, False),
    ]  # fmt: skip
    offsets = [offset for number, offset, _ in got if number == 0]
    assert offsets == sorted(set(offsets)), "the other partition goes on meanwhile, each record once"


async def test_a_partition_that_was_revoked_meanwhile_is_not_read() -> None:
    async def nothing() -> None:
        return None

    reader = Reader(KafkaOptions(("nowhere:1",)), Membership("g", ("orders",)), nothing)
    reader.start_at({Partition("orders", 0): 3})
    assert reader.passed() == {}
    await reader.member.stop()


def test_a_client_that_always_fails_gives_up_fewer_and_fewer_records() -> None:
    search: PoisonSearch[str] = PoisonSearch()
    position, given_up = 0, []
    for tries in range(1, 200):
        if search.failed(search.choose(["a"]), position):
            position += 1
            given_up.append(tries)
    assert given_up == [TRIES, 3 * TRIES, 7 * TRIES, 15 * TRIES, 31 * TRIES, 63 * TRIES]
