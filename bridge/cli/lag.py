"""How the endpoints stand, for a person to look at: each cursor beside the end of its log.

Takes what the broker has, gives rows. Pure; between the path and the commands.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from bridge.core import completion_map
from bridge.model import Committed, Partition

_CURSOR = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""What follows ``<group>.`` in the name of a cursor's group: an endpoint's name, which has no dot."""


class OpenRetry(NamedTuple):
    """A delivery that failed and waits for its next attempt, as far as the commit had room to say."""

    offset: int
    attempts: int
    first_failed: str


class Standing(NamedTuple):
    """One cursor: an endpoint's place in one partition. None is what is not there or not known."""

    endpoint: str
    partition: Partition
    configured: bool
    committed: int | None
    log_end: int | None
    lag: int | None
    settled_beyond: int
    retries: tuple[OpenRetry, ...]
    problem: str = ""

    def as_json(self) -> dict[str, object]:
        """The same for a machine."""
        row: dict[str, object] = self._asdict()
        row["topic"], row["partition"] = self.partition
        row["retries"] = [retry._asdict() for retry in self.retries]
        return row


def cursor_names(prefix: str, groups: Mapping[str, str]) -> list[str]:
    """The cursors' names among all groups of the cluster, given with their kinds.

    Nothing is a cursor of ours that ever had members, nor what hangs below such a group: another
    bridge may be called ``hookferry.test``, and its cursors ``hookferry.test.crm``.
    """
    found = []
    for group, kind in sorted(groups.items()):
        name = group.removeprefix(f"{prefix}.")
        if name != group and not kind and _CURSOR.fullmatch(name):
            found.append(name)
    return found


def standing(
    name: str,
    configured: bool,
    committed: Mapping[Partition, Committed],
    log_ends: Mapping[Partition, int],
    partitions: Iterable[Partition],
) -> list[Standing]:
    """The rows of one cursor: of ``partitions`` and of whatever else it has a place in."""
    return [
        _row(name, partition, configured, committed.get(partition), log_ends.get(partition))
        for partition in sorted({*partitions, *committed})
    ]


def _row(
    name: str, partition: Partition, configured: bool, committed: Committed | None, log_end: int | None
) -> Standing:
    if committed is None:
        return Standing(name, partition, configured, None, log_end, None, 0, ())
    problem = ""
    try:
        done = completion_map.decode(*committed)
    except completion_map.DamagedMapError as exc:
        done, problem = completion_map.Completion(committed.offset, committed.offset), f"map ignored: {exc}"
    return Standing(
        name,
        partition,
        configured,
        committed.offset,
        log_end,
        None if log_end is None else max(0, log_end - committed.offset),
        done.end - done.offset - len(done.open_offsets),
        tuple(
            OpenRetry(offset, failed.attempts, _instant(failed.first_at_s))
            for (offset, _), failed in sorted(done.failures.items())
            if not done.settled(offset)
        ),
        problem,
    )


def lag(rows: Collection[Standing]) -> int | None:
    """All that an endpoint has still to settle, in offsets; None when it has no place at all yet."""
    known = [row.lag for row in rows if row.lag is not None]
    return sum(known) if known else None


def _instant(unix_s: int) -> str:
    try:
        return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return ""
