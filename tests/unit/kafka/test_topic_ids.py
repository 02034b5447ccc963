"""Topic ids over a request of our own: its bytes, a broker without it, topics without an id."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bridge.errors import BrokerError
from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.metadata_request import MetadataResponseV10, TopicsRequest
from bridge.kafka.topic_ids import TopicIds

ORDERS = (0x0123456789ABCDEF, 0x0011223344556677)


def response(*topics: tuple[int, str, int, int]) -> Any:
    """Return a response as the broker encodes it, decoded: a code, a name and both halves of an id each."""
    partition = (0, 0, 1, 0, [1], [1], [], {})
    rows = [(code, name, high, low, False, [partition], -1, {}) for code, name, high, low in topics]
    brokers = [(1, "127.0.0.1", 9092, None, {})]
    raw = MetadataResponseV10(0, brokers, "cluster", 1, rows, -1, {}).encode()
    return MetadataResponseV10.decode(raw)


class Client:
    """aiokafka's client with one broker that answers with ``versions`` of the Metadata request."""

    def __init__(self, versions: tuple[int, int], answer: Any) -> None:
        self._versions = versions
        self._answer = answer
        self.sent = 0

    def get_random_node(self) -> int | None:
        return 1

    async def send(self, node: int, request: TopicsRequest) -> Any:
        self.sent += 1
        prepared = request.prepare({3: self._versions})
        assert prepared.encode()
        return self._answer


def topic_ids(client: Client, monkeypatch: pytest.MonkeyPatch) -> TopicIds:
    """Return the part with this client."""

    async def working() -> Client:
        return client

    ids = TopicIds(KafkaOptions(("kafka.test:9092",)))
    monkeypatch.setattr(ids, "_client", SimpleNamespace(working=working, guarded=broker_call))
    return ids


async def test_an_id_has_the_form_in_which_kafkas_tools_print_it(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client((0, 12), response((0, "orders", *ORDERS), (3, "missing", 0, 0), (5, "leaderless", 0, 0)))
    ids = await topic_ids(client, monkeypatch).look({"orders", "missing", "leaderless"})
    assert ids == {"orders": "ASNFZ4mrze8AESIzRFVmdw", "leaderless": None}, (
        "only a missing topic has no entry"
    )


async def test_a_broker_without_topic_ids_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client((0, 9), None)
    ids = topic_ids(client, monkeypatch)
    assert [await ids.look({"orders"}) for _ in range(3)] == [None, None, None]
    assert client.sent == 1


async def test_a_broker_that_cannot_be_reached_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client((0, 12), None)
    monkeypatch.setattr(client, "get_random_node", lambda: None)
    with pytest.raises(BrokerError, match="read the ids of the topics"):
        await topic_ids(client, monkeypatch).look({"orders"})
