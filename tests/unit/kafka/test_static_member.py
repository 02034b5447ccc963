"""The requests of a static member contain its name, and a taken name ends the membership."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest

from bridge.kafka.aiokafka_patches.connection import PatchedConnection
from bridge.kafka.aiokafka_patches.static_member import NameTaken, guard_name
from bridge.kafka.group_requests import FENCED_INSTANCE_ID, StaticLeave

SUPPORTED = {8: (2, 9), 12: (0, 4), 13: (0, 5)}
HEARTBEAT = HeartbeatRequest("g", 7, "pod-1-uuid")
JOIN = JoinGroupRequest("g", 10_000, 60_000, "", "pod-1", "consumer", [])


class Coordinator:
    """Answers with the next of ``answers`` and keeps what it got, as the structs that are sent."""

    def __init__(self, *answers: Any, supported: dict[int, tuple[int, int]] = SUPPORTED) -> None:
        self.answers = list(answers)
        self.sent: list[Any] = []
        self._supported = supported

    async def _send_req(self, request: Any) -> Any:
        if request.API_KEY in self._supported:
            request = request.prepare(self._supported)
        self.sent.append(request)
        return self.answers.pop(0)


def guarded(coordinator: Coordinator, *topics: str) -> list[str]:
    """Guard the name of a consumer with this coordinator; return the list of times its name was taken."""
    taken: list[str] = []
    consumer = SimpleNamespace(_coordinator=coordinator, subscription=lambda: frozenset(topics))
    guard_name(cast("AIOKafkaConsumer", consumer), "pod-1", lambda: taken.append("taken"))
    return taken


def answer(code: int) -> SimpleNamespace:
    return SimpleNamespace(error_code=code)


async def test_heartbeats_and_commits_contain_the_name() -> None:
    accepted = SimpleNamespace(topics=[("orders", [(0, 0)])])
    coordinator = Coordinator(answer(0), accepted)
    taken = guarded(coordinator)
    await coordinator._send_req(HEARTBEAT)
    rows = [("orders", [(0, 55, "map")])]
    await coordinator._send_req(OffsetCommitRequest("g", 7, "pod-1-uuid", -1, rows))
    assert [request.group_instance_id for request in coordinator.sent] == ["pod-1", "pod-1"]
    assert [request.member_id for request in coordinator.sent] == ["pod-1-uuid", "pod-1-uuid"]
    assert coordinator.sent[1].topics == [("orders", [(0, 55, -1, "map")])]
    assert all(request.encode() for request in coordinator.sent)
    assert not taken


@pytest.mark.parametrize(
    "fenced",
    [answer(FENCED_INSTANCE_ID), SimpleNamespace(topics=[("orders", [(0, 0), (1, FENCED_INSTANCE_ID)])])],
)
async def test_after_the_name_was_taken_no_request_is_sent_any_more(fenced: SimpleNamespace) -> None:
    """Above all no JoinGroup: it would take the name back."""
    coordinator = Coordinator(fenced)
    taken = guarded(coordinator)
    for request in (HEARTBEAT, JOIN, HEARTBEAT):
        with pytest.raises(NameTaken):
            await coordinator._send_req(request)
    assert len(coordinator.sent) == 1
    assert taken == ["taken"]


async def test_a_member_that_was_forgotten_may_join_again() -> None:
    """Its session ended while it was suspended: "unknown member", which aiokafka handles."""
    coordinator = Coordinator(answer(25), answer(0))
    taken = guarded(coordinator)
    await coordinator._send_req(HEARTBEAT)
    await coordinator._send_req(JOIN)
    assert coordinator.sent[1] is JOIN
    assert not taken


async def test_topics_that_are_no_longer_read_are_left_out_of_an_assignment() -> None:
    """aiokafka's group task would end with an assertion."""
    before = ConsumerProtocolMemberAssignment(0, [("gone", [0, 1]), ("orders", [2])], b"{}").encode()
    coordinator = Coordinator(SimpleNamespace(error_code=0, member_assignment=before))
    guarded(coordinator, "orders", "added")
    response = await coordinator._send_req(SyncGroupRequest("g", 7, "pod-1-uuid", "pod-1", []))
    after = ConsumerProtocolMemberAssignment.decode(response.member_assignment)
    assert list(map(tuple, after.assignment)) == [("orders", [2])]
    assert after.user_data == b"{}"


async def test_a_broker_without_static_members_gets_the_requests_without_the_name() -> None:
    """Kafka before 2.3: it ignores the name, so the member is a dynamic one."""
    coordinator = Coordinator(answer(0), supported={12: (0, 2)})
    guarded(coordinator)
    await coordinator._send_req(HEARTBEAT)
    assert coordinator.sent[0].API_VERSION == 1


def test_a_leave_names_the_member_and_its_name() -> None:
    request = StaticLeave("g", "pod-1-uuid", "pod-1").prepare(SUPPORTED)
    assert request.API_VERSION == 3
    assert request.members == [("pod-1-uuid", "pod-1")]
    assert request.encode()


def test_a_request_that_the_broker_does_not_know_closes_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``NotImplementedError`` is a ``RuntimeError``, which a closed uvloop transport raises."""

    def unknown(*_: object) -> None:
        raise NotImplementedError

    closed: list[object] = []
    monkeypatch.setattr(AIOKafkaConnection, "send", unknown)
    monkeypatch.setattr(PatchedConnection, "close", lambda *_, **__: closed.append(1))
    with pytest.raises(NotImplementedError):
        PatchedConnection.send(object.__new__(PatchedConnection), HEARTBEAT)
    assert not closed
