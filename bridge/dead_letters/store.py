"""The dead letters and holds of a group, for a command: find letters, send them again, mark them as settled.

A marker is written after the record was resent. After a crash in between, the letter is still waiting. Its
next redrive has the same id, which the bridge recognizes as a duplicate within its dedupe window.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Protocol, Self

from bridge.dead_letters.hold import Hold, HoldKey
from bridge.dead_letters.hold_topic import HoldReader
from bridge.dead_letters.letter import Address, Fate, Letter, LetterFilter, Settlement
from bridge.dead_letters.letter_reader import LetterReader, StubError
from bridge.dead_letters.resend_request import ResendRequest, in_turns
from bridge.errors import BrokerError, HookferryError
from bridge.formats.resent import MARK_VALUE, packed, packed_mark
from bridge.kafka.client import KafkaOptions
from bridge.kafka.producer import DurableProducer, NewRecord
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topics import TopicAdmin
from bridge.model import Damage, Record, RedriveMark, Resend
from bridge.telemetry.scrub import scrub

_LONG_POLL_MS = 20
_REQUEST_TIMEOUT_S = 40.0
"""Longer than for a live event: a redrive writes hundreds of records at once, and nothing waits for it."""
_CLOSE_S = 15.0


class RedriveError(HookferryError):
    """The broker did not accept every record; the others are settled, and these wait as before."""


class BatchWriter(Protocol):
    """Writes records (``bridge.kafka.producer.DurableProducer``)."""

    async def write_all(self, records: Sequence[NewRecord]) -> list[BrokerError | None]:
        """Write records in this order; return for each its error, or None if it was acknowledged."""
        ...


class DeadLetterStore:
    """The dead-letter topic of a group, as an asynchronous context manager.

    Invariant: a letter is marked as redriven only after all replicas have acknowledged the record that
    requests it.
    """

    def __init__(
        self,
        options: KafkaOptions,
        parked_topic: str,
        again_topic: str,
        control_topic: str,
        producer: BatchWriter | None = None,
    ) -> None:
        """Without a ``producer``, one is opened for the first write."""
        self._options = options
        self._control = control_topic
        self._parked = parked_topic
        self._again = again_topic
        self._producer = producer
        self._stack = AsyncExitStack()
        self._counts: dict[str, int] = {}
        self._hold_reader: HoldReader | None = None

    async def __aenter__(self) -> Self:
        """Connect; raises ``KafkaUnavailable``."""
        try:
            admin = TopicAdmin(self._options)
            self._stack.push_async_callback(admin.close)
            await admin.start()
            self._counts = await admin.partition_counts((self._parked, self._again, self._control))
            reader = await self._stack.enter_async_context(
                SideReader(self._options, long_poll_ms=_LONG_POLL_MS)
            )
            self._letters = LetterReader(reader, self._parked, self._counts.get(self._parked, 0))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def again_partitions(self) -> int:
        """The number of partitions of the topic for events that are sent again; 0 without one."""
        return self._counts.get(self._again, 0)

    @property
    def unreadable(self) -> Mapping[Address, Damage]:
        """The records of the topic that the last ``find`` could not read, by their address."""
        return self._letters.unreadable

    async def find(self, wanted: LetterFilter) -> list[Letter]:
        """Return all letters that match, without their values, oldest first. Raises ``KafkaUnavailable``."""
        return await self._letters.find(wanted)

    async def fetch(self, addresses: Collection[Address]) -> dict[Address, Letter]:
        """Return these letters with their values, if they exist. Raises ``KafkaUnavailable``."""
        return await self._letters.fetch(addresses)

    async def lost_stubs(self, letters: Sequence[Letter]) -> dict[Address, tuple[str, str]]:
        """Return the stubs whose records cannot be had any more, with cause and remedy.

        Raises ``KafkaUnavailable``.
        """
        lost: dict[Address, tuple[str, str]] = {}
        for letter in letters:
            if letter.is_stub:
                try:
                    await self.whole(letter)
                except StubError as exc:
                    lost[letter.address] = exc.cause, exc.remedy
        return lost

    async def whole(self, letter: Letter) -> Record:
        """Return the original record of a letter with a value; a stub's is read from its own topic.

        Raises ``KafkaUnavailable``, ``StubError``.
        """
        return await self._letters.whole(letter) if letter.is_stub else letter.origin

    async def redrive(self, requests: Sequence[ResendRequest], by: str) -> int:
        """Send these again and mark their letters; return how many letters that settled.

        Returns when the broker has acknowledged both. Raises ``KafkaUnavailable``, and
        ``RedriveError`` if it did not accept some, or if a stub's record is gone: they wait as before.
        """
        fetched = await self.fetch([request.letter.address for request in requests])
        missing = [
            str(request.letter.address) for request in requests if request.letter.address not in fetched
        ]
        if missing:
            raise RedriveError(
                f"cannot send {', '.join(missing[:10])} again: no longer in topic {self._parked!r}; run the"
                " command again"
            )
        settled: list[tuple[Letter, Settlement]] = []
        refused: BrokerError | StubError | None = None
        for turn in in_turns(requests):
            try:
                letters = [fetched[request.letter.address] for request in turn]
                records = [await self._resend_record(*pair) for pair in zip(turn, letters, strict=True)]
            except StubError as exc:
                refused = exc
                break
            for request, error in zip(turn, await self._write_all(records), strict=True):
                if error is None:
                    settled += _redriven(request, by)
                refused = refused or error
            if refused is not None:
                break  # later requests with the same order key must not overtake it
        await self._mark(settled)
        if refused is not None:
            raise RedriveError(f"{len(settled)} settled, then: {refused}; the others still wait") from refused
        return len(settled)

    async def _resend_record(self, request: ResendRequest, letter: Letter) -> NewRecord:
        origin = await self.whole(letter)
        webhook_id = request.letter.facts.get("webhook-id", "")
        resent = Resend(
            origin,
            letter.endpoint,
            request.letter.again_id,
            letter.index,
            request.round,
            webhook_id,
            letter.stored,
            letter.repeats,
        )
        return NewRecord(self._again, origin.value, origin.key, origin.partition.number, packed(resent))

    async def send_marks(self, marks: Sequence[RedriveMark]) -> None:
        """Send the marks that end a redrive of held lanes; return once they are acknowledged.

        Raises ``KafkaUnavailable``, ``RedriveError``.
        """
        records = []
        for mark in marks:
            key = mark.lane.key if isinstance(mark.lane.key, bytes) else None
            records.append(NewRecord(self._again, MARK_VALUE, key, mark.lane.number, packed_mark(mark)))
        self._raise_first(await self._write_all(records), "the lanes stay held; run the command again")

    async def holds(self) -> Mapping[HoldKey, Hold]:
        """Return every held lane of the group as of now. Raises ``KafkaUnavailable``."""
        if self._control not in self._counts:
            return {}
        if self._hold_reader is None:
            self._hold_reader = await self._stack.enter_async_context(
                HoldReader(SideReader(self._options), self._control)
            )
        await self._hold_reader.read_to_end()
        return dict(self._hold_reader.holds)

    async def holds_after_change(self, timeout_s: float) -> Mapping[HoldKey, Hold]:
        """Return every held lane after the next change or this time. Raises ``KafkaUnavailable``."""
        assert self._hold_reader is not None, "holds() comes first"
        await self._hold_reader.read_on(timeout_s)
        return dict(self._hold_reader.holds)

    async def forget_holds(self, keys: Collection[HoldKey]) -> None:
        """Delete the holds of these lanes. Raises ``KafkaUnavailable``, ``RedriveError``."""
        records = [NewRecord(self._control, None, key.to_bytes(), 0) for key in keys]
        self._raise_first(await self._write_all(records), "the lanes stay held; run the command again")

    async def discard(self, letters: Sequence[Letter], by: str, reason: str) -> int:
        """Mark letters as never to be sent; return their number.

        Raises ``KafkaUnavailable``, ``RedriveError``.
        """
        now_ms, reason = int(time.time() * 1000), scrub(reason)
        await self._mark(
            [(letter, Settlement(letter.address, Fate.DISCARDED, now_ms, by, reason)) for letter in letters]
        )
        return len(letters)

    async def _mark(self, settled: Sequence[tuple[Letter, Settlement]]) -> None:
        """Write markers to the partitions of their letters, with the same keys."""
        records = [
            NewRecord(self._parked, None, letter.origin.key, letter.address.number, settlement.headers())
            for letter, settlement in settled
        ]
        self._raise_first(
            await self._write_all(records),
            "the letter is still listed as waiting; if it is sent again now, the bridge drops the duplicate",
        )

    async def _write_all(self, records: Sequence[NewRecord]) -> list[BrokerError | None]:
        if not records:
            return []
        if self._producer is None:
            self._producer = await self._stack.enter_async_context(
                DurableProducer(
                    self._options,
                    "redrives",
                    request_timeout_s=_REQUEST_TIMEOUT_S,
                    close_timeout_s=_CLOSE_S,
                )
            )
        return await self._producer.write_all(records)

    def _raise_first(self, errors: Sequence[BrokerError | None], consequence: str) -> None:
        for error in errors:
            if error is not None:
                raise RedriveError(f"{error}; {consequence}") from error


def _redriven(request: ResendRequest, by: str) -> list[tuple[Letter, Settlement]]:
    """Return the markers of all letters that a request settles."""
    now_ms, again_id = int(time.time() * 1000), request.letter.again_id
    return [
        (letter, Settlement(letter.address, Fate.REDRIVEN, now_ms, by, again_id=again_id))
        for letter in request.settles
    ]
