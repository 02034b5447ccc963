"""What a redrive sends for the chosen letters, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from bridge.dead_letters.letter import STORED_FACT, Address, Letter
from bridge.model import Partition

BATCH_SIZE = 500
"""Records that are sent and then marked together: it bounds what a crash leaves unmarked."""
BATCH_BYTES = 64 * 1024 * 1024
"""The values that a redrive keeps in memory at once, unless a single one is larger."""


class ResendRequest(NamedTuple):
    """One original record (or one event of it) to be sent again, and every letter that this settles.

    ``round`` is the one of the hold on its lane, if the lane is held.
    """

    letter: Letter
    settles: tuple[Letter, ...]
    round: str = ""

    @property
    def order_key(self) -> object:
        """Requests with an equal key must reach the broker in their order."""
        origin = self.letter.origin
        return origin.partition, self.letter.endpoint, self.letter.facts.get("lane", origin.key)


def resend_requests(letters: Iterable[Letter]) -> list[ResendRequest]:
    """Return what to send again for these letters, in the order of the source topics.

    A crash between parking and commit parks an event twice. It is sent again once, as its latest
    letter: the latest may be the result of resending an earlier one, whose id is used up.
    """
    by_event: dict[tuple[Partition, int, int, str | None], list[Letter]] = {}
    for letter in letters:
        by_event.setdefault((*_place(letter), letter.endpoint), []).append(letter)
    requests = [ResendRequest(max(same, key=_parked), tuple(same)) for same in by_event.values()]
    return sorted(requests, key=lambda request: _place(request.letter))


def obstacle(
    letter: Letter, topics: Container[str], endpoints: Container[str], partitions: int
) -> tuple[str, str] | None:
    """Return why a letter cannot be sent again (cause and remedy); None if it can."""
    topic, number = letter.origin.partition
    if letter.raw_of:
        return (
            f"its value is not an event but the bytes of a {letter.raw_of} that could not be read",
            "have the producer write the events again, and discard this letter",
        )
    if letter.is_stub and STORED_FACT in letter.facts:
        return (
            "only a stub of it is parked, and its request was not rendered from its record",
            f"send the attempt again: hookferry resend {letter.repeats}",
        )
    if topic not in topics and STORED_FACT not in letter.facts:
        return f"no source reads topic {topic!r}", "name it in a source, or discard the event"
    if letter.endpoint is not None and letter.endpoint not in endpoints:
        return f"there is no endpoint {letter.endpoint!r}", "configure it, or discard the event"
    if number >= partitions:
        return (
            f"partition {number} of {topic!r} is newer than the topic for events that are sent again",
            "restart the bridge, which adds partitions to that topic",
        )
    return None


def in_turns(requests: Sequence[ResendRequest]) -> list[list[ResendRequest]]:
    """Split requests into turns: no turn has two with an equal order key, and each key keeps its order."""
    turns: list[list[ResendRequest]] = []
    turns_used: Counter[object] = Counter()
    for request in requests:
        turn = turns_used[request.order_key]
        turns_used[request.order_key] += 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(request)
    return turns


def batches(requests: Sequence[ResendRequest]) -> Iterator[list[ResendRequest]]:
    """Yield the requests in batches, in order: ``BATCH_SIZE`` records, or ``BATCH_BYTES`` of their values."""
    batch, size_bytes = list[ResendRequest](), 0
    for request in requests:
        size_bytes += request.letter.size_bytes
        if batch and (len(batch) == BATCH_SIZE or size_bytes > BATCH_BYTES):
            yield batch
            batch, size_bytes = [], request.letter.size_bytes
        batch.append(request)
    if batch:
        yield batch


def _parked(letter: Letter) -> tuple[int, Address]:
    return letter.parked_at_ms, letter.address


def _place(letter: Letter) -> tuple[Partition, int, int]:
    return letter.origin.partition, letter.origin.offset, letter.index
