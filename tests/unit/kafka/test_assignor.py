"""Every partition has exactly one member, and equal numbers of all topics have the same one."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from hypothesis import given
from hypothesis import strategies as st

from bridge.kafka.assignment_check import AssignmentCheck
from bridge.kafka.assignor import ByNumberAssignor, assign_by_number

MEMBERS = st.lists(st.text("abc-0123456789", min_size=1, max_size=6), min_size=1, max_size=7, unique=True)
SIZES = st.dictionaries(st.sampled_from(["orders", "bank", "g.again", "ce"]), st.integers(0, 12), min_size=1)


class FakeCluster:
    def __init__(self, sizes: dict[str, int]) -> None:
        self._sizes = sizes

    def partitions_for_topic(self, topic: str) -> Collection[int] | None:
        return set(range(self._sizes[topic])) if topic in self._sizes else None


def owners(assignment: dict[str, dict[str, list[int]]]) -> list[tuple[str, int, str]]:
    return sorted(
        (topic, number, member)
        for member, topics in assignment.items()
        for topic, numbers in topics.items()
        for number in numbers
    )


@given(members=MEMBERS, sizes=SIZES)
def test_every_partition_has_one_member_and_equal_numbers_have_the_same(
    members: list[str], sizes: dict[str, int]
) -> None:
    numbers = {topic: range(size) for topic, size in sizes.items()}
    assigned = owners(assign_by_number(dict.fromkeys(members, sizes.keys()), numbers))
    assert [owner[:2] for owner in assigned] == sorted(
        (topic, number) for topic, size in sizes.items() for number in range(size)
    )
    members_of: dict[int, set[str]] = {}
    for _, number, member in assigned:
        members_of.setdefault(number, set()).add(member)
    assert all(len(owning) == 1 for owning in members_of.values())


@given(members=MEMBERS, sizes=SIZES)
def test_no_member_has_two_more_numbers_than_another(members: list[str], sizes: dict[str, int]) -> None:
    """Counted in partitions of the largest topic, which is what an operator scales by."""
    largest = max(sizes, key=lambda topic: sizes[topic])
    assignment = assign_by_number({member: [largest] for member in members}, {largest: range(sizes[largest])})
    shares = [len(topics.get(largest, [])) for topics in assignment.values()]
    assert max(shares) - min(shares) <= 1


@given(members=MEMBERS, sizes=SIZES)
def test_the_order_in_which_members_are_listed_does_not_matter(
    members: list[str], sizes: dict[str, int]
) -> None:
    numbers = {topic: range(size) for topic, size in sizes.items()}
    forward, backward = (dict.fromkeys(order, sizes.keys()) for order in (members, members[::-1]))
    assert owners(assign_by_number(forward, numbers)) == owners(assign_by_number(backward, numbers))


@given(data=st.data(), members=MEMBERS, sizes=SIZES)
def test_members_with_different_topics_leave_no_partition_without_an_owner(
    data: st.DataObject, members: list[str], sizes: dict[str, int]
) -> None:
    """While pods with another configuration join, equal numbers may have different members."""
    subsets = st.sets(st.sampled_from(sorted(sizes)))
    subscriptions = {member: data.draw(subsets, label=member) for member in members}
    assigned = owners(assign_by_number(subscriptions, {topic: range(size) for topic, size in sizes.items()}))
    read = set().union(*subscriptions.values())
    assert [owner[:2] for owner in assigned] == sorted(
        (topic, number) for topic in read for number in range(sizes[topic])
    )
    assert all(topic in subscriptions[member] for topic, _, member in assigned)


def test_the_assignment_survives_aiokafkas_encoding() -> None:
    assignor = ByNumberAssignor()
    encoded = assignor.metadata({"orders", "g.again", "new"}).encode()
    metadata = ConsumerProtocolMemberMetadata.decode(encoded)
    assigned = assignor.assign(
        FakeCluster({"orders": 3, "g.again": 3}), {"pod-1": metadata, "pod-0": metadata}
    )
    assert list(map(list, assigned["pod-0"].assignment)) == [["g.again", [0, 2]], ["orders", [0, 2]]]
    assert list(map(list, assigned["pod-1"].assignment)) == [["g.again", [1]], ["orders", [1]]]
    assert assigned["pod-0"].encode()


def assigned_by(leader: dict[str, int], subscribed: set[str]) -> ByNumberAssignor:
    """Return the assignor of a member that got its assignment from a leader with this metadata."""
    member = ByNumberAssignor()
    metadata = ConsumerProtocolMemberMetadata.decode(member.metadata(subscribed).encode())
    assignment = ByNumberAssignor().assign(FakeCluster(leader), {"pod-0": metadata})["pod-0"]
    member.on_assignment(ConsumerProtocolMemberAssignment.decode(assignment.encode()))
    return member


@pytest.mark.parametrize(
    ("leader", "member", "topics", "outdated"),
    [
        ({"orders": 3}, {"orders": 3}, ["orders"], False),
        ({"orders": 3}, {"orders": 4}, ["orders"], True),
        ({"orders": 4}, {"orders": 3}, ["orders"], False),  # the member's own metadata is old
        ({"orders": 3}, {"orders": 3, "bank": 1}, ["orders", "bank"], True),
        ({"orders": 3, "bank": 1}, {"orders": 3}, ["orders"], False),
        ({"orders": 3}, {"orders": 3}, ["orders", "not there yet"], False),
        ({}, {"orders": 3}, ["orders"], True),
    ],
)
def test_an_assignment_is_outdated_if_the_leader_did_not_know_a_partition_of_this_members_topics(
    leader: dict[str, int], member: dict[str, int], topics: list[str], outdated: bool
) -> None:
    assignor = assigned_by(leader, set(leader) or {"orders"})
    assert assignor.outdated(FakeCluster(member), topics) is outdated


@pytest.mark.parametrize("user_data", [b"", b"\xff", b"0"])
def test_an_assignment_of_an_earlier_version_is_never_outdated(user_data: bytes) -> None:
    assignor = assigned_by({"orders": 1}, {"orders"})
    assignor.on_assignment(ConsumerProtocolMemberAssignment(0, [], user_data))
    assert not assignor.outdated(FakeCluster({"orders": 9}), ["orders"])


def test_a_member_asks_for_a_rebalance_once_and_again_when_it_learns_of_another_partition() -> None:
    """A leader that may not see a topic must not make the group rebalance forever."""
    now = 1000.0
    assignor = assigned_by({"orders": 3}, {"orders"})
    check = AssignmentCheck(assignor, clock=lambda: now)
    first = assignor.metadata(["orders"]).encode()
    assert check.must_rejoin(FakeCluster({"orders": 4}), lambda: ["orders"])
    assert assignor.metadata(["orders"]).encode() != first, "the group would not rebalance for a follower"
    asked = []
    for _ in range(200):
        now += 1
        asked.append(check.must_rejoin(FakeCluster({"orders": 4}), lambda: ["orders"]))
    assert not any(asked)
    now += 1
    assert check.must_rejoin(FakeCluster({"orders": 5}), lambda: ["orders"])
    now += 301
    assert check.must_rejoin(FakeCluster({"orders": 5}), lambda: ["orders"])
