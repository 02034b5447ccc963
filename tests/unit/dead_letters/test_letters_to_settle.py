"""Which letters and held lanes a redrive or a discard concerns."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.dead_letters.hold import HoldKey
from bridge.dead_letters.letter import Address, Fate, Letter, LetterFilter, Settlement
from bridge.dead_letters.selection import Redrivable, lanes_of, redrivable, same_events
from bridge.model import Partition, Record

KEY, OTHER = HoldKey("crm", "a" * 32), HoldKey("shop", "b" * 32)
LOST = ("the record was deleted", "discard it")


def letter(offset: int, at: int = 5, *, index: int = 0, lane: HoldKey | None = KEY, **more: str) -> Letter:
    facts = {"cause": "status 400", "parked-at-ms": "1", "endpoint": "crm", "event-index": str(index)}
    facts |= {"endpoint": lane.endpoint, "lane": lane.lane_id} if lane else {}
    facts |= {name.replace("_", "-"): fact for name, fact in more.items()}
    return Letter(Address(0, at), Record(Partition("orders", 3), offset, 0, b"e1", None), 2, facts)


def settled(letter: Letter) -> Letter:
    letter.settlements.append(Settlement(letter.address, Fate.REDRIVEN, 1, "ann"))
    return letter


class Topic:
    """The letters of a topic; ``lost`` are addresses of stubs without a record."""

    again_partitions = 8

    def __init__(self, *letters: Letter, lost: Sequence[Address] = ()) -> None:
        self._letters = letters
        self._lost = lost

    async def find(self, wanted: LetterFilter) -> list[Letter]:
        return [letter for letter in self._letters if wanted.matches(letter)]

    async def lost_stubs(self, letters: Sequence[Letter]) -> dict[Address, tuple[str, str]]:
        return {letter.address: LOST for letter in letters if letter.address in self._lost}


async def ready(topic: Topic, *selected: Letter, holds: Sequence[HoldKey] = (KEY, OTHER)) -> Redrivable:
    return await redrivable(topic, ["orders"], ["crm", "shop"], selected, lanes_of(holds, selected))


async def test_what_waits_in_a_held_lane_is_sent_with_a_letter_of_it() -> None:
    first, behind, free = letter(17), letter(18, 6), letter(19, 7, lane=None)
    again = settled(letter(16, 4))
    found = await ready(Topic(again, first, behind, free), first, free, again)
    assert (found.plain, found.lanes) == ([free], {KEY})
    assert (found.in_lanes, found.more) == ([first, behind, again], [again])
    assert not found.blocked


async def test_a_held_lane_is_not_sent_if_a_letter_of_it_cannot_be() -> None:
    first, behind = letter(17), letter(18, 6)
    other, free = letter(20, 8, lane=OTHER), letter(19, 7, lane=None)
    found = await ready(Topic(first, behind, other, free, lost=[behind.address]), first, other, free)
    assert found.blocked == {behind.address: LOST}
    assert (found.plain, found.lanes, found.in_lanes) == ([free], {OTHER}, [other])
    raw = letter(18, 6, raw_of="batch")
    found = await ready(Topic(first, raw), first)
    assert (found.lanes, found.in_lanes, [*found.blocked]) == (set(), [], [raw.address])


async def test_a_settled_letter_of_a_held_lane_that_cannot_be_sent_does_not_keep_its_lane() -> None:
    again, first = settled(letter(16, 4, raw_of="batch")), letter(17)
    found = await ready(Topic(again, first), again, first)
    assert (found.lanes, found.in_lanes, found.more) == ({KEY}, [first], [])
    assert [*found.blocked] == [again.address]


async def test_without_holds_every_letter_is_of_a_free_lane() -> None:
    first, behind = letter(17), letter(18, 6)
    found = await ready(Topic(first, behind), first, holds=())
    assert (found.plain, found.lanes, found.in_lanes) == ([first], set(), [])


def test_a_letter_belongs_to_a_held_lane_by_endpoint_and_lane_id() -> None:
    assert lanes_of([KEY, OTHER], [letter(17)]) == {KEY}
    assert lanes_of([KEY, OTHER], [letter(17, endpoint="till")]) == set()
    assert lanes_of([KEY, OTHER], [letter(17, lane=None)]) == set()


def test_discarding_an_event_discards_all_its_letters_in_the_lane() -> None:
    """A crash can park an event twice; a letter that was left out would be sent."""
    chosen, twin, other, sibling = letter(17), letter(17, 8), letter(18, 9), letter(17, 10, index=2)
    sent = settled(letter(17, 11))
    assert same_events([chosen], [chosen, twin, other, sibling, sent]) == [chosen, twin]
