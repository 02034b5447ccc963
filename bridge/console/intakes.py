"""The three topics that the console follows, each with the position that its rows need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from bridge.console.follower import Taken
from bridge.console.store import sources
from bridge.console.store.database import Change, Database
from bridge.console.store.intake import IntakeState, take_in
from bridge.console.store.series import SELECT_SERIES, KnownSeries
from bridge.model import Record


class AttemptsIntake:
    """``<group>.attempts``."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._state = IntakeState({})
        self._series = KnownSeries()

    async def load(self, state: str | None) -> Mapping[int, int]:
        """Begin at a position, with the series of the store."""
        self._state = IntakeState({}) if state is None else IntakeState.read(state)
        self._series = KnownSeries()
        self._series.grow(await self._db.fetch(f"{SELECT_SERIES} ORDER BY id"))
        return self._state.offsets

    def take(self, records: Sequence[Record]) -> Taken:
        """Return the rows of attempts."""
        self._series.added = []
        taken = take_in(records, self._state, self._series)
        self._state = taken.state
        return Taken(taken.changes, taken.state.to_text(), taken.unreadable)

    def begun(self, begins: Mapping[int, int]) -> Sequence[Change]:
        """Keep what the topic does not have any more."""
        return ()

    def caught_up(self) -> Sequence[Change]:
        """Delete nothing."""
        return ()


class ParkedIntake:
    """``<group>.parked``: the letters and what became of them."""

    def __init__(self) -> None:
        self._offsets: dict[int, int] = {}

    async def load(self, state: str | None) -> Mapping[int, int]:
        """Begin at a position."""
        known = {} if state is None else orjson.loads(state)
        self._offsets = {int(number): offset for number, offset in known.items()}
        return self._offsets

    def take(self, records: Sequence[Record]) -> Taken:
        """Return the rows of letters and markers."""
        changes = sources.parked_changes(records)
        for record in records:
            self._offsets[record.partition.number] = record.end
        return Taken(changes, _text(self._offsets))

    def begun(self, begins: Mapping[int, int]) -> Sequence[Change]:
        """Delete the letters that retention has deleted."""
        return sources.gone_from_parked(begins)

    def caught_up(self) -> Sequence[Change]:
        """Delete nothing."""
        return ()


class ControlIntake:
    """``<group>.control``, which is read from its beginning at each start.

    It is small, and compaction removes deletions after a day: a console that did not run then would keep
    what was deleted. Once the end is reached, the store keeps only what the topic has.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._offset = 0
        self._known: set[str] = set()
        self._seen: set[str] = set()

    async def load(self, state: str | None) -> Mapping[int, int]:
        """Begin at the first offset."""
        self._offset, self._seen = 0, set()
        rows = await self._db.fetch("SELECT name FROM control WHERE kind <> ?", (sources.CHANGE,))
        self._known = {row[0] for row in rows}
        return {0: 0}

    def take(self, records: Sequence[Record]) -> Taken:
        """Return the rows of the last records."""
        own = [record for record in records if record.partition.number == 0]
        self._seen.update((record.key or b"").decode("utf-8", "replace") for record in own)
        self._offset = max([self._offset, *(record.end for record in own)])
        return Taken(sources.control_changes(own), _text({0: self._offset}))

    def begun(self, begins: Mapping[int, int]) -> Sequence[Change]:
        """Delete nothing: the end of the topic is not known yet."""
        return ()

    def caught_up(self) -> Sequence[Change]:
        """Delete what compaction has removed."""
        gone, self._known = sorted(self._known - self._seen), set()
        return sources.gone_from_control(gone) if gone else ()


def _text(offsets: Mapping[int, int]) -> str:
    return orjson.dumps(offsets, option=orjson.OPT_NON_STR_KEYS).decode()
