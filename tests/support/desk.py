"""The ``Desk`` of a redrive over fakes: dead letters and holds of a simulated world."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from bridge.dead_letters.hold import Hold, HoldKey
from bridge.dead_letters.letter import Address, Errand, Fate, Letter, Settlement, Wanted, in_turns
from bridge.dead_letters.redrive import Desk
from bridge.formats.resent import packed
from bridge.model import RedriveMark, Resend
from tests.support.path import World


class FakeDesk(Desk):
    """Reads what was parked, sends again into the log; ``pause_s`` is what each step takes."""

    def __init__(self, world: World, pause_s: Callable[[], float] = float) -> None:
        self._world = world
        self._pause_s = pause_s
        self.settlements: dict[Address, list[Settlement]] = {}

    async def holds(self) -> Mapping[HoldKey, Hold]:
        await asyncio.sleep(self._pause_s())
        return self._world.register.now

    async def news(self, timeout_s: float) -> Mapping[HoldKey, Hold]:
        await asyncio.sleep(timeout_s)
        return self._world.register.now

    async def find(self, wanted: Wanted) -> list[Letter]:
        found = [letter for letter in self.letters() if wanted.matches(letter)]
        await asyncio.sleep(self._pause_s())
        return found

    def letters(self) -> list[Letter]:
        """Every letter as of now, as ``bridge.dead_letters.letter.letter`` would read it."""
        found = []
        for number, (record, reason) in enumerate(self._world.parking.parked):
            address = Address(0, number)
            facts = {
                "cause": reason.cause,
                "parked-at-ms": str(number),
                **({"endpoint": reason.endpoint} if reason.endpoint else {}),
                **reason.details,
            }
            settlements = list(self.settlements.get(address, ()))
            found.append(Letter(address, record, 0, facts, settlements))
        return found

    async def redrive(self, errands: Sequence[Errand], by: str) -> int:
        done = []
        for turn in in_turns(errands):
            for errand in turn:
                await asyncio.sleep(self._pause_s())
                letter = errand.letter
                resent = Resend(letter.origin, letter.endpoint, letter.again_id, letter.index, errand.round)
                self._world.log.ask(letter.origin, packed(resent))
                done += errand.settles
        await asyncio.sleep(self._pause_s())
        for one in done:
            self.settle(one, Fate.REDRIVEN, by)
        return len(done)

    def settle(self, letter: Letter, fate: Fate, by: str) -> None:
        """RedriveMark a letter."""
        mark = Settlement(letter.address, fate, 0, by)
        self.settlements.setdefault(letter.address, []).append(mark)

    async def end_round(self, marks: Sequence[RedriveMark]) -> None:
        for mark in marks:
            await asyncio.sleep(self._pause_s())
            self._world.log.mark(mark)
