"""A simulated world with one endpoint that holds lanes after an event was parked."""

from __future__ import annotations

from typing import Any

from bridge.core import ordering_key
from bridge.core.ordering_key import LaneKey
from bridge.dead_letters.hold import Hold, HoldKey
from bridge.formats.resent import packed
from bridge.model import Record, RedriveMark, Resend
from tests.support.fakes import AGAIN, P0, Log, Sent
from tests.support.path import Plan, Process, World

E1 = LaneKey("orders", 0, b"e1", "")

KEY = HoldKey("crm", ordering_key.lane_id(E1))


class Stage(World):
    """One endpoint with ``on_park: hold``; its receiver answers 400 to the events in ``refused``."""

    def __init__(self, **plan: Any) -> None:
        super().__init__({"crm": Plan(on_park="hold", **plan)}, log=Log(P0, AGAIN))
        self.refused = {"a"}

        async def answer(sent: Sent) -> int:
            return 400 if sent.event_id in self.refused else 200

        self.receiver.answer = answer

    def start(self) -> Process:
        """Start a process with both partitions."""
        return Process(self, P0, AGAIN).start()

    @property
    def hold(self) -> Hold:
        """Return the only hold."""
        return self.register.now[KEY]

    @property
    def causes(self) -> list[str]:
        """Return the causes of the parked events."""
        return [reason.cause for _, reason in self.parking.parked]

    def settled(self) -> bool:
        """Return True if the cursors are at the end of both topics."""
        ends = {one: self.log.bounds(one)[1] for one in (P0, AGAIN)}
        return all(self.offsets.at("crm", one) == end for one, end in ends.items())

    def resend(self, origin: Record, id: str, round: str = "") -> None:
        """Append a resend of a record, outside or inside a round."""
        self.log.ask(origin, packed(Resend(origin, "crm", id, round=round)))

    def mark(self, id: str = "m1", **other: Any) -> None:
        """Append the mark that ends a round."""
        facts = {"round": self.hold.round, "covers": self.hold.parked, **other}
        self.log.mark(RedriveMark("crm", E1, id, facts["round"], facts["covers"]))
