"""Divide numbers among members so that each keeps what it had, as far as all get equal shares.

Invariant: below each bound, no member has two numbers more than another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def divide(
    bounds: Collection[int], members: Sequence[str], owned: Mapping[str, Collection[int]]
) -> dict[int, str]:
    """Return the member of each number below the largest bound.

    ``bounds``: the numbers of partitions of the topics; every topic is divided equally. ``members``: at least
    one. ``owned``: the numbers that each had; two may name the same one. Without them the numbers go around.
    """
    owners: dict[int, str] = {}
    load = dict.fromkeys(members, 0)
    start = 0
    for end in sorted(set(bounds) - {0}):
        claims = _claims(range(start, end), members, owned)
        room = _shares(end - start, members, claims, load)
        for member, count in room.items():
            load[member] += count
        for member, numbers in claims.items():
            kept = numbers[: room[member]]
            owners.update(dict.fromkeys(kept, member))
            room[member] -= len(kept)
        _go_around([number for number in range(start, end) if number not in owners], members, room, owners)
        start = end
    return owners


def _claims(
    numbers: Collection[int], members: Sequence[str], owned: Mapping[str, Collection[int]]
) -> dict[str, list[int]]:
    """Return the numbers of each member, none of them twice."""
    free = set(numbers)
    claims: dict[str, list[int]] = {}
    for member in members:
        claims[member] = sorted(free.intersection(owned.get(member, ())))
        free.difference_update(claims[member])
    return claims


def _shares(
    count: int, members: Sequence[str], claims: Mapping[str, Sequence[int]], load: Mapping[str, int]
) -> dict[str, int]:
    """Return how many numbers each gets: one more for those with the least load, then the most claims."""
    share, more = divmod(count, len(members))
    favored = sorted(members, key=lambda member: (load[member], -len(claims[member]), member))[:more]
    return {member: share + (member in favored) for member in members}


def _go_around(
    numbers: Sequence[int], members: Sequence[str], room: dict[str, int], owners: dict[int, str]
) -> None:
    """Give these numbers to the members that have room, one each in turn."""
    at = 0
    for number in numbers:
        while not room[members[at % len(members)]]:
            at += 1
        member = members[at % len(members)]
        owners[number] = member
        room[member] -= 1
        at += 1
