"""Every partition has exactly one member, and equal numbers of all topics have the same one."""

from __future__ import annotations

from collections.abc import Collection

from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

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
    encoded = ByNumberAssignor.metadata({"orders", "g.again", "new"}).encode()
    metadata = ConsumerProtocolMemberMetadata.decode(encoded)
    assigned = ByNumberAssignor.assign(
        FakeCluster({"orders": 3, "g.again": 3}), {"pod-1": metadata, "pod-0": metadata}
    )
    assert list(map(list, assigned["pod-0"].assignment)) == [["g.again", [0, 2]], ["orders", [0, 2]]]
    assert list(map(list, assigned["pod-1"].assignment)) == [["g.again", [1]], ["orders", [1]]]
    assert assigned["pod-0"].encode()
