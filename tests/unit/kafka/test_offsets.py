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
        self.nodes: list[int] = []
        self.lookups = 0

    async def working(self) -> FakeClient:
        return self

    def get_random_node(self) -> int:
        return 1

    async def coordinator_lookup(self, kind: object, group: str) -> int:
        self.lookups += 1
        return 1

    async def ready(self, node: int, *, group: object) -> bool:
        return True

    async def send(self, node: int, request: Any, *, group: object = None) -> Any:
        self.sent.append(request)
        self.nodes.append(node)
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


GROUPS = ("g.crm", "g.erp", "g.new")


def coordinated(**nodes: tuple[int, int]) -> Any:
    """The answer with a node and an error for each endpoint."""
    return SimpleNamespace(nodes={f"g.{name}": row for name, row in nodes.items()})


def of_groups(**groups: tuple[list[Any], int]) -> Any:
    """The answer with rows and an error for each endpoint."""
    return SimpleNamespace(
        groups={
            f"g.{name}": ([("orders", rows)] if rows else [], code) for name, (rows, code) in groups.items()
        }
    )


async def test_the_offsets_of_many_groups_are_read_with_one_request_per_coordinator() -> None:
    client = FakeClient(
        coordinated(crm=(1, 0), erp=(2, 0), new=(1, 0)),
        of_groups(crm=([(0, 7, "map", 0), (1, -1, "", 0)], 0), new=([(0, -1, "", 0), (1, -1, None, 0)], 0)),
        of_groups(erp=([(0, 9, None, 0)], 0)),
    )
    store = store_over(client)
    assert await store.fetch_all(GROUPS, [P0, P1]) == {
        "g.crm": {P0: Committed(7, "map")},
        "g.erp": {P0: Committed(9, "")},
        "g.new": {},
    }
    assert client.nodes == [1, 1, 2]
    client.answers = [of_groups(crm=([], 0)), of_groups(erp=([], 0))]
    await store.fetch_all(GROUPS[:2], None)
    assert client.nodes[3:] == [1, 2]  # the coordinators are known


@pytest.mark.parametrize(
    "answer",
    [
        of_groups(crm=([(0, 7, "", 0)], 0), erp=([], GroupLoadInProgressError.errno)),
        of_groups(crm=([(0, 7, "", 0)], 0), erp=([], NotCoordinatorForGroupError.errno)),
        of_groups(crm=([(0, 7, "", 0)], 0), erp=([(0, -1, "", 88)], 0)),  # a transaction is not over yet
        of_groups(crm=([(0, 7, "", 0)], 0)),
        of_groups(),
        KafkaConnectionError("reset"),
    ],
)
async def test_no_group_of_a_request_that_failed_is_taken_for_one_without_offsets(answer: Any) -> None:
    """Neither is one that the answer leaves out: its cursors would be lost."""
    nothing = of_groups(crm=([(0, -1, "", 0)], 0), erp=([], 0))
    client = FakeClient(coordinated(crm=(1, 0), erp=(1, 0)), nothing, answer)
    store = store_over(client)
    assert await store.fetch_all(GROUPS[:2], [P0]) == {"g.crm": {}, "g.erp": {}}
    with pytest.raises(CommitError, match=r"group 'g\.(erp|crm)'"):
        await store.fetch_all(GROUPS[:2], [P0])


@pytest.mark.parametrize(
    "found",
    [
        coordinated(crm=(1, 0), erp=(-1, GroupCoordinatorNotAvailableError.errno)),
        coordinated(crm=(1, 0)),
    ],
)
async def test_a_group_without_a_coordinator_is_no_group_without_offsets(
    found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offsets, "_NEW_CLUSTER_S", 0)
    client = FakeClient(found)
    with pytest.raises(CommitError, match=r"g\.crm"):
        await store_over(client).fetch_all(GROUPS[:2], [P0])
    assert len(client.sent) == 1


async def test_the_first_read_of_many_groups_waits_for_a_new_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets, "_RETRY_S", 0)
    none_yet = coordinated(crm=(-1, GroupCoordinatorNotAvailableError.errno))
    loading = of_groups(crm=([], GroupLoadInProgressError.errno))
    found = coordinated(crm=(1, 0))
    client = FakeClient(none_yet, found, loading, found, of_groups(crm=([(0, 7, "", 0)], 0)))
    assert await store_over(client).fetch_all(["g.crm"], [P0]) == {"g.crm": {P0: Committed(7, "")}}


async def test_after_an_error_of_one_group_its_coordinator_is_looked_up_again() -> None:
    found, both = coordinated(crm=(1, 0), erp=(1, 0)), of_groups(crm=([], 0), erp=([], 0))
    moved = of_groups(crm=([], 0), erp=([], NotCoordinatorForGroupError.errno))
    here, there = of_groups(crm=([], 0)), of_groups(erp=([(0, 7, "", 0)], 0))
    client = FakeClient(found, both, moved, coordinated(erp=(2, 0)), here, there)
    store = store_over(client)
    await store.fetch_all(GROUPS[:2], None)
    with pytest.raises(CommitError, match=r"g\.erp"):
        await store.fetch_all(GROUPS[:2], None)
    assert await store.fetch_all(GROUPS[:2], None) == {"g.crm": {}, "g.erp": {P0: Committed(7, "")}}
    assert client.nodes == [1, 1, 1, 1, 1, 2]


@pytest.mark.parametrize("before", [(), (coordinated(crm=(1, 0), erp=(1, 0)),)])
async def test_a_broker_before_3_0_gets_a_request_for_each_group(before: tuple[Any, ...]) -> None:
    """Whether it lacks the look-up of many coordinators or, as a broker of an upgrade may, only the other."""
    client = FakeClient(
        *before,
        NotImplementedError(),
        SimpleNamespace(topics=[("orders", [(0, 7, "map", 0)])]),
        SimpleNamespace(topics=[("orders", [(0, -1, "", 0)])]),
    )
    store = store_over(client)
    assert await store.fetch_all(GROUPS[:2], [P0]) == {"g.crm": {P0: Committed(7, "map")}, "g.erp": {}}
    client.answers = [NotImplementedError(), SimpleNamespace(topics=[], error_code=14), GroupIdNotFound()]
    with pytest.raises(CommitError, match=r"g\.crm.*\(error 14\)"):
        await store.fetch_all(GROUPS[:2], [P0])


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
