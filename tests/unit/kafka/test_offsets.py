"""Cursors are committed only with permission, and every refusal is a commit error."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupIdNotFound,
    GroupLoadInProgressError,
    KafkaConnectionError,
    NotCoordinatorForGroupError,
)
from structlog.testing import capture_logs

from bridge.errors import CommitError
from bridge.kafka import offsets
from bridge.kafka.client import KafkaOptions
from bridge.kafka.offsets import OffsetStore
from bridge.model import Committed, Partition

P0, P1 = Partition("orders", 0), Partition("orders", 1)


class FakeClient:
    """A client whose requests get these answers, one each; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[Any] = []
        self.lookups = 0

    async def working(self) -> FakeClient:
        return self

    async def coordinator_lookup(self, kind: object, group: str) -> int:
        self.lookups += 1
        return 1

    async def ready(self, node: int, *, group: object) -> bool:
        return True

    async def send(self, node: int, request: Any, *, group: object) -> Any:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def committed(*codes: int) -> Any:
    return SimpleNamespace(topics=[("orders", list(enumerate(codes)))])


def store_over(client: FakeClient, may_commit: Callable[[], bool] = lambda: True) -> OffsetStore:
    store = OffsetStore(KafkaOptions(("nowhere:9092",)), may_commit=may_commit)
    store._client = client  # type: ignore[assignment] # only what a store calls
    return store


async def test_without_permission_a_commit_is_not_sent() -> None:
    client = FakeClient()
    store = store_over(client, may_commit=lambda: False)
    with pytest.raises(CommitError, match="suspended for too long"):
        await store.commit("g.crm", {P0: Committed(7, "")})
    assert client.sent == []


async def test_reading_needs_no_permission_and_leaves_out_partitions_without_a_commit() -> None:
    rows = [(0, 7, "map", 0), (1, -1, "", 0)]
    client = FakeClient(SimpleNamespace(topics=[("orders", rows)]))
    store = store_over(client, may_commit=lambda: False)
    assert await store.fetch("g.crm", [P0, P1]) == {P0: Committed(7, "map")}


@pytest.mark.parametrize("code", [GroupLoadInProgressError.errno, NotCoordinatorForGroupError.errno, 30])
async def test_an_error_of_the_whole_group_is_not_taken_for_a_group_without_offsets(code: int) -> None:
    """Since version 2 such a response has no topics: a cursor would be lost to a broker that restarts."""
    client = FakeClient(
        SimpleNamespace(topics=[("orders", [(0, 7, "", 0)])], error_code=0),
        SimpleNamespace(topics=[], error_code=code),
    )
    store = store_over(client)
    assert await store.fetch("g.crm", [P0, P1]) == {P0: Committed(7, "")}
    with pytest.raises(CommitError, match=rf"g\.crm.*\(error {code}\)"):
        await store.fetch("g.crm", [P0, P1])


async def test_the_first_read_waits_for_a_new_cluster_and_logs_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lookup and an answer fail in turn; then the offsets topic exists. Later failures are reported."""
    monkeypatch.setattr(offsets, "_RETRY_S", 0)
    loading = SimpleNamespace(topics=[("orders", [(0, -1, "", GroupLoadInProgressError.errno)])])
    nothing = SimpleNamespace(topics=[])
    client = FakeClient(GroupCoordinatorNotAvailableError(), loading, nothing, GroupLoadInProgressError())
    store = store_over(client)
    with capture_logs() as lines:
        assert await store.fetch("g.crm", [P0]) == {}
    assert [(line["event"], line["log_level"]) for line in lines] == [("coordinator.awaited", "info")]
    with pytest.raises(CommitError, match=r"g\.crm"):
        await store.fetch("g.crm", [P0])


async def test_a_coordinator_that_stays_away_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets, "_NEW_CLUSTER_S", 0)
    with pytest.raises(CommitError):
        await store_over(FakeClient(GroupCoordinatorNotAvailableError())).fetch("g.crm", [P0])
    with pytest.raises(CommitError, match="reset"):
        await store_over(FakeClient(KafkaConnectionError("reset"))).fetch("g.crm", [P0])


async def test_a_commit_that_the_broker_refuses_in_part_fails_and_looks_for_the_coordinator_again() -> None:
    client = FakeClient(committed(0, 0), committed(0, NotCoordinatorForGroupError.errno), committed(0, 0))
    store = store_over(client)
    offsets = {P0: Committed(7, ""), P1: Committed(9, "")}
    await store.commit("g.crm", offsets)
    with pytest.raises(CommitError, match=r"'g\.crm': NotCoordinatorForGroupError \(error 16\)"):
        await store.commit("g.crm", offsets)
    assert client.lookups == 1
    await store.commit("g.crm", offsets)
    assert client.lookups == 2


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KafkaConnectionError("reset"), "'g.crm': KafkaConnectionError: reset"),
        (TimeoutError(), "'g.crm': the broker did not answer within 5 s"),
        (OSError("no route"), "'g.crm': no route"),
    ],
)
async def test_a_commit_that_is_not_answered_is_a_commit_error(error: Exception, text: str) -> None:
    store = store_over(FakeClient(error))
    with pytest.raises(CommitError, match=text):
        await store.commit("g.crm", {P0: Committed(7, "")})


async def test_deleting_a_group_that_does_not_exist_is_no_error() -> None:
    client = FakeClient(SimpleNamespace(results=[("g.old", GroupIdNotFound.errno)]))
    await store_over(client).delete("g.old")
    assert len(client.sent) == 1
