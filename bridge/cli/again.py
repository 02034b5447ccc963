"""Find what waits in ``<group>.again``: events that were requested again and that no bridge has settled yet.

A marker in ``<group>.parked`` records that a request was written, not that it was delivered. Invariant: an
event counts as done only after the cursor of its endpoint has settled its record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bridge.core.completion_map import Completion
    from bridge.dead_letters.letter import Letter
    from bridge.dead_letters.resend_request import ResendRequest
    from bridge.dead_letters.store import DeadLetterStore
    from bridge.kafka.session import AdminSession
    from bridge.model import Partition, Record, Resend
    from bridge.settings import Settings

_POLL_S = 0.5

Waiting = Mapping[str, frozenset[str]]
"""By the id of a request: the endpoints that have not settled it."""


async def find_waiting_requests(visit: AdminSession, settings: Settings) -> Waiting:
    """Return the requests that wait. Raises ``KafkaUnavailable``, ``CommitError``."""
    from bridge.errors import KafkaUnavailable, RecordsDeleted
    from bridge.kafka.side_reader import SideReader
    from bridge.wiring.kafka import again_topic, build_kafka_options

    ends = await visit.log_ends([again_topic(settings)])
    if not any(ends.values()):
        return {}
    done = await _completions(visit, settings, ends)
    waiting: defaultdict[str, set[str]] = defaultdict(set)
    async with SideReader(build_kafka_options(settings.kafka), long_poll_ms=20) as reader:
        begins = await reader.begins(list(ends))
        for partition, end in ends.items():
            start = max(
                begins[partition], min(_committed(done, partition, name) for name in settings.endpoints)
            )
            try:
                async for records in reader.stretch(partition, start, end):
                    for request, name in _unsettled(records, done, settings.endpoints):
                        waiting[request].add(name)
            except RecordsDeleted as exc:
                raise KafkaUnavailable(
                    f"{partition}: retention deleted records meanwhile; try again"
                ) from exc
    return {request: frozenset(names) for request, names in waiting.items()}


def _unsettled(
    records: Iterable[Record], done: Mapping[tuple[str, Partition], Completion], endpoints: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield the id of each request in the records with each endpoint that has not settled it."""
    for record in records:
        resend = _request_in(record)
        if resend is None:
            continue
        endpoint = resend.endpoint
        for name in endpoints if endpoint is None or endpoint not in endpoints else [endpoint]:
            completion = done.get((name, record.partition))
            if completion is None or not completion.settled(record.offset):
                yield resend.again_id, name


def _request_in(record: Record) -> Resend | None:
    """Return the request in a record; None for a mark, and for what is no request: the bridge parks it."""
    from bridge.errors import DecodeError
    from bridge.formats.resent import COVERS, unpacked

    if record.damage is not None or any(name == COVERS for name, _ in record.headers):
        return None
    try:
        return unpacked(record)
    except DecodeError:
        return None


def _committed(done: Mapping[tuple[str, Partition], Completion], partition: Partition, name: str) -> int:
    completion = done.get((name, partition))
    return 0 if completion is None else completion.offset


async def _completions(
    visit: AdminSession, settings: Settings, partitions: Collection[Partition]
) -> dict[tuple[str, Partition], Completion]:
    from bridge.core import completion_map

    done = {}
    for name in settings.endpoints:
        committed = await visit.committed(f"{settings.group}.{name}")
        for partition in partitions:
            if partition in committed:
                at = committed[partition]
                try:
                    done[name, partition] = completion_map.decode(*at)
                except completion_map.DamagedMapError:
                    done[name, partition] = completion_map.Completion(at.offset, at.offset)
    return done


def mark_queued(letters: Sequence[Letter], waiting: Waiting) -> None:
    """Mark the letters whose last redrive is among the requests that wait."""
    from bridge.dead_letters.letter import Fate

    for letter in letters:
        last = letter.settlements[-1] if letter.settlements else None
        letter.queued = last is not None and last.fate is Fate.REDRIVEN and last.again_id in waiting


class Result(NamedTuple):
    """What became of requests. ``routed`` were rejected before their endpoints were known, and are now not.

    ``parked_again`` are the new letters of those that were refused again.
    """

    delivered: int
    routed: int
    waiting: int
    parked_again: list[Letter]


async def await_requests(
    dead: DeadLetterStore, settings: Settings, requests: Sequence[ResendRequest], wait_s: float
) -> Result:
    """Wait until the bridges have settled all requests, or none for ``wait_s``; return what became of them.

    Raises ``KafkaUnavailable``, ``CommitError``.
    """
    left = await await_settled(settings, {request.letter.again_id for request in requests}, wait_s)
    done = [request for request in requests if request.letter.again_id not in left]
    again = await _parked_again(dead, done)
    places = {letter.origin.place for letter in again}
    well = [request.letter for request in done if request.letter.origin.place not in places]
    routed = sum(letter.endpoint is None for letter in well)
    return Result(len(well) - routed, routed, len(left), again)


async def await_settled(settings: Settings, ids: Set[str], wait_s: float) -> Set[str]:
    """Wait until the bridges have settled these requests, or none of them for ``wait_s``.

    Return the ids of those that still wait. Raises ``KafkaUnavailable``, ``CommitError``.
    """
    import asyncio
    import time

    from bridge.cli import progress
    from bridge.kafka.session import AdminSession
    from bridge.wiring.kafka import build_kafka_options

    bar = progress.begin("waiting for the bridges", len(ids))
    async with AdminSession(build_kafka_options(settings.kafka)) as visit:
        left = ids & (await find_waiting_requests(visit, settings)).keys()
        deadline = time.monotonic() + wait_s
        while left and time.monotonic() < deadline:
            bar.step(len(ids) - len(left) - bar.done)
            await asyncio.sleep(_POLL_S)
            before, left = left, left & (await find_waiting_requests(visit, settings)).keys()
            if len(left) < len(before):
                deadline = time.monotonic() + wait_s
    progress.clear()
    return left


async def _parked_again(dead: DeadLetterStore, requests: Sequence[ResendRequest]) -> list[Letter]:
    """Return the new letters of these requests: of the same event, and not among those that were sent."""
    from bridge.dead_letters.letter import Fate, LetterFilter

    if not requests:
        return []
    sent = {letter.address for request in requests for letter in request.settles}
    asked = {(one.letter.origin.place, one.letter.index, one.letter.endpoint) for one in requests}
    since_ms = min(letter.parked_at_ms for request in requests for letter in request.settles)
    return [
        letter
        for letter in await dead.find(LetterFilter(since_ms=since_ms))
        if letter.fate is Fate.WAITING
        and letter.address not in sent
        and any(
            (letter.origin.place, index, endpoint) in asked
            for index in {letter.index, 0}
            for endpoint in {letter.endpoint, None}
        )
    ]
