"""The ``RedriveStore`` of a redrive over fakes: dead letters and holds of a simulated world."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from bridge.dead_letters.hold import Hold, HoldKey
from bridge.dead_letters.letter import Address, Fate, Letter, LetterFilter, Settlement
from bridge.dead_letters.redrive import RedriveStore
from bridge.dead_letters.resend_request import ResendRequest, in_turns
from bridge.formats.resent import packed
from bridge.model import RedriveMark, Resend
from tests.support.path import World


class FakeStore(RedriveStore):
    """Reads what was parked, sends it again into the log. ``pause_s`` returns the duration of each step."""

    def __init__(self, world: World, pause_s: Callable[[], float] = float) -> None:
        self._world = world
        self._pause_s = pause_s
        self.settlements: dict[Address, list[Settlement]] = {}

    async def holds(self) -> Mapping[HoldKey, Hold]:
        await asyncio.sleep(self._pause_s())
        return self._world.register.now

    async def holds_after_change(self, timeout_s: float) -> Mapping[HoldKey, Hold]:
        await asyncio.sleep(timeout_s)
        return self._world.register.now

    async def find(self, wanted: LetterFilter) -> list[Letter]:
        matches = [letter for letter in self.letters() if wanted.matches(letter)]
        await asyncio.sleep(self._pause_s())
        return matches

    def letters(self) -> list[Letter]:
        """Return every letter as of now, as ``bridge.dead_letters.letter.to_letter`` would read it."""
        letters = []
        for number, (record, reason) in enumerate(self._world.parking.parked):
            address = Address(0, number)
            facts = {
                "cause": reason.cause,
                "parked-at-ms": str(number),
                **({"endpoint": reason.endpoint} if reason.endpoint else {}),
                **reason.details,
            }
            settlements = list(self.settlements.get(address, ()))
            letters.append(Letter(address, record, 0, facts, settlements))
        return letters

    async def redrive(self, requests: Sequence[ResendRequest], by: str) -> int:
        settled: list[Letter] = []
        for turn in in_turns(requests):
            for request in turn:
                await asyncio.sleep(self._pause_s())
                letter = request.letter
                resent = Resend(
                    letter.origin, letter.endpoint, letter.again_id, letter.index, request.round,
                    letter.facts.get("webhook-id", ""),
                )  # fmt: skip
                self._world.log.ask(letter.origin, packed(resent))
                settled += request.settles
        await asyncio.sleep(self._pause_s())
        for letter in settled:
            self.settle(letter, Fate.REDRIVEN, by)
        return len(settled)

    def settle(self, letter: Letter, fate: Fate, by: str) -> None:
        """Mark a letter."""
        settlement = Settlement(letter.address, fate, 0, by)
        self.settlements.setdefault(letter.address, []).append(settlement)

    async def send_marks(self, marks: Sequence[RedriveMark]) -> None:
        for mark in marks:
            await asyncio.sleep(self._pause_s())
            self._world.log.mark(mark)
