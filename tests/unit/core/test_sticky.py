"""Members keep the numbers they had, as far as their shares are equal."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.sticky import divide

MEMBERS = st.lists(st.sampled_from("abcdefg"), min_size=1, unique=True).map(sorted)
BOUNDS = st.lists(st.integers(0, 24), min_size=1, max_size=4)
OWNED = st.dictionaries(st.sampled_from("abcdefgxy"), st.lists(st.integers(-1, 30), max_size=12))


def numbers_of(owners: dict[int, str], member: str) -> set[int]:
    return {number for number, owner in owners.items() if owner == member}


@given(bounds=BOUNDS, members=MEMBERS, owned=OWNED)
def test_every_number_has_an_owner_and_every_topic_is_divided_equally(
    bounds: list[int], members: list[str], owned: dict[str, list[int]]
) -> None:
    owners = divide(bounds, members, owned)
    assert sorted(owners) == list(range(max(bounds)))
    for bound in bounds:
        shares = Counter(dict.fromkeys(members, 0))
        shares.update(owner for number, owner in owners.items() if number < bound)
        assert max(shares.values()) - min(shares.values()) <= 1


@given(bounds=BOUNDS, members=MEMBERS)
def test_an_unchanged_group_keeps_its_division(bounds: list[int], members: list[str]) -> None:
    owners = divide(bounds, members, {})
    assert divide(bounds, members, {member: numbers_of(owners, member) for member in members}) == owners


@given(count=st.integers(1, 24), members=MEMBERS, data=st.data())
def test_the_members_that_stay_keep_everything_when_one_leaves(
    count: int, members: list[str], data: st.DataObject
) -> None:
    owners = divide([count], members, {})
    left = data.draw(st.sampled_from(members))
    staying = [member for member in members if member != left]
    if staying:
        owned = {member: numbers_of(owners, member) for member in staying}
        after = divide([count], staying, owned)
        assert all(owned[member] <= numbers_of(after, member) for member in staying)


@given(count=st.integers(1, 24), members=MEMBERS)
def test_a_member_that_joins_takes_only_its_own_share(count: int, members: list[str]) -> None:
    owners = divide([count], members, {})
    owned = {member: numbers_of(owners, member) for member in members}
    after = divide([count], [*members, "new"], owned)
    moved = [number for number, owner in owners.items() if after[number] != owner]
    assert all(after[number] == "new" for number in moved)


def test_a_number_that_two_members_name_has_one_owner() -> None:
    assert divide([2], ["a", "b"], {"a": [0], "b": [0, 1]}) == {0: "a", 1: "b"}
