"""Read every commit of every cursor with its instant from Kafka's own offsets topic.

What a kill may repeat depends on the last commit before it, and a busy machine commits late. So the
count reads the commits instead of assuming an interval. The records have the layout of Kafka's
``OffsetCommitKey`` and ``OffsetCommitValue``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from struct import unpack_from

from bridge.core import completion_map
from tests.faults.truth import read_all
from tests.support.kafka import RealKafka

OFFSETS_TOPIC = "__consumer_offsets"
_MS = 1_000_000


@dataclass(slots=True)
class Commits:
    """The commits of each cursor (endpoint, partition), oldest first."""

    at_ns: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    entries: dict[tuple[str, int], list[tuple[int, str]]] = field(default_factory=dict)

    def add(self, endpoint: str, partition: int, at_ns: int, offset: int, metadata: str) -> None:
        """Add a commit."""
        self.at_ns.setdefault((endpoint, partition), []).append(at_ns)
        self.entries.setdefault((endpoint, partition), []).append((offset, metadata))

    def settled(self, endpoint: str, place: int, at_ns: int) -> bool:
        """Return True if the last commit before an instant lists a place as settled."""
        cursor = (endpoint, place >> 40)
        number = bisect_right(self.at_ns.get(cursor, []), at_ns) - 1
        if number < 0:
            return False
        return completion_map.decode(*self.entries[cursor][number]).settled(place & (1 << 40) - 1)

    def settled_since(self, endpoint: str, place: int) -> int:
        """Return the instant of the first commit that lists a place as settled; 0 if there is none."""
        cursor = (endpoint, place >> 40)
        for at_ns, entry in zip(self.at_ns.get(cursor, []), self.entries.get(cursor, []), strict=True):
            if completion_map.decode(*entry).settled(place & (1 << 40) - 1):
                return at_ns
        return 0

    def set_back(self) -> Iterator[tuple[str, int, int, int, int]]:
        """Yield commits that are lower than the previous one: (endpoint, partition, instant, from, to)."""
        for (endpoint, partition), entries in self.entries.items():
            for number in range(1, len(entries)):
                before, offset = entries[number - 1][0], entries[number][0]
                if offset < before:
                    yield endpoint, partition, self.at_ns[endpoint, partition][number], before, offset

    def format(self, endpoint: str, place: int, from_ns: int, until_ns: int) -> str:
        """Return at most eight lines: the commits in between, and whether they list a place as settled."""
        cursor = (endpoint, place >> 40)
        lines = []
        for at_ns, (offset, metadata) in zip(
            self.at_ns.get(cursor, []), self.entries.get(cursor, []), strict=True
        ):
            if from_ns - 1000 * _MS <= at_ns <= until_ns:
                done = completion_map.decode(offset, metadata)
                clock = datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
                has = "settled" if done.settled(place & (1 << 40) - 1) else "not settled"
                lines.append(f"commit {clock}: offset {offset}, end {done.end}, {has}")
        return "\n".join(
            lines[:4] + (["…"] if len(lines) > 8 else []) + lines[4:][-4:] or ["no commit in between"]
        )


def read_commits(kafka: RealKafka, group: str, topic: str) -> Commits:
    """Return all commits of the cursors of ``group``, which are the groups ``<group>.<endpoint>``."""
    commits = Commits()
    for message in read_all(kafka, OFFSETS_TOPIC):
        key, value = message.key(), message.value()
        if key is None or value is None or unpack_from(">h", key)[0] > 1:
            continue
        at = 2
        name, at = _text(key, at)
        about, at = _text(key, at)
        (partition,) = unpack_from(">i", key, at)
        if not name.startswith(f"{group}.") or about != topic:
            continue
        version, offset = unpack_from(">hq", value)
        metadata, at = _text(
            value, 10 + (4 if version >= 3 else 0)
        )  # the leader epoch was added in version 3
        (at_ms,) = unpack_from(">q", value, at)
        commits.add(name.removeprefix(f"{group}."), partition, at_ms * _MS, offset, metadata)
    return commits


def _text(data: bytes, at: int) -> tuple[str, int]:
    (size,) = unpack_from(">h", data, at)
    return data[at + 2 : at + 2 + size].decode(), at + 2 + size
