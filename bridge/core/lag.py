"""The lag of the endpoints: each cursor compared with the end of its log. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from bridge.core import completion_map
from bridge.core.replay import MARK
from bridge.model import Committed, Partition

_CURSOR = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""The part of a cursor group's name after ``<group>.``: the name of an endpoint, which has no dot."""
_REPLAY = re.compile(_CURSOR.pattern + re.escape(f".{MARK}") + r"[0-9a-f]{8}")

Bound = Literal["exact", "at least", "at most"]


class OpenRetry(NamedTuple):
    """A failed delivery that waits for its next attempt; the commit has room for a limited number."""

    offset: int
    attempts: int
    first_failed: str


class Backlog(NamedTuple):
    """The events that an endpoint selects and that are not settled yet.

    ``bound`` is "exact", "at least" (more may follow what was read) or "at most" (nothing was read: these
    are offsets). ``oldest_ms`` is the timestamp of the oldest one, in Unix milliseconds.
    """

    events: int
    bound: Bound = "exact"
    oldest_ms: int | None = None

    def __str__(self) -> str:
        return {"exact": "{}", "at least": "{}+", "at most": "≤{}"}[self.bound].format(self.events)

    def as_json(self) -> dict[str, object]:
        """Return the keys of a document: ``lag`` in events, what it is, and the time of the oldest."""
        oldest = None if self.oldest_ms is None else _instant(self.oldest_ms // 1000)
        return {"lag": self.events, "lag_is": self.bound, "oldest": oldest}


UNKNOWN: dict[str, object] = {"lag": None, "lag_is": None, "oldest": None}
"""What ``Backlog.as_json`` returns, of an endpoint without a committed offset."""


class CursorLag(NamedTuple):
    """One cursor: the position of an endpoint in one partition. None: does not exist or is unknown.

    ``log_end`` is the last stable offset: what can be read now ends there, so ``offsets``, the distance from
    ``committed``, ends there too. ``backlog`` are the events among them that the endpoint selects.
    """

    endpoint: str
    partition: Partition
    configured: bool
    committed: int | None
    log_end: int | None
    offsets: int | None
    settled_beyond: int
    retries: tuple[OpenRetry, ...]
    problem: str = ""
    in_transactions: int = 0
    """Offsets after ``log_end``: those of open transactions, and what follows the first of them."""
    completion: completion_map.Completion | None = None
    """What is settled, as it was committed."""
    backlog: Backlog | None = None

    def as_json(self) -> dict[str, object]:
        """Return the row as JSON values."""
        return {
            "endpoint": self.endpoint,
            "topic": self.partition.topic,
            "partition": self.partition.number,
            "configured": self.configured,
            "committed": self.committed,
            "log_end": self.log_end,
            **(UNKNOWN if self.backlog is None else self.backlog.as_json()),
            "offsets": self.offsets,
            "settled_beyond": self.settled_beyond,
            "in_transactions": self.in_transactions,
            "retries": [retry._asdict() for retry in self.retries],
            "problem": self.problem,
        }


def cursor_names(prefix: str, groups: Mapping[str, str]) -> list[str]:
    """Return the names of the cursors among all groups of the cluster, given as group to kind.

    A group that ever had members is no cursor. A name with a dot belongs to another bridge: the group
    ``hookferry.test`` has the cursors ``hookferry.test.crm``.
    """
    names = []
    for group, kind in sorted(groups.items()):
        name = group.removeprefix(f"{prefix}.")
        if name != group and not kind and _CURSOR.fullmatch(name):
            names.append(name)
    return names


def replay_names(prefix: str, groups: Mapping[str, str]) -> list[str]:
    """Return the names of the cursors of replays among all groups, as ``cursor_names`` does."""
    names = (group.removeprefix(f"{prefix}.") for group in sorted(groups) if group.startswith(f"{prefix}."))
    return [name for name in names if _REPLAY.fullmatch(name)]


def cursor_lags(
    name: str,
    configured: bool,
    committed: Mapping[Partition, Committed],
    log_ends: Mapping[Partition, int],
    partitions: Iterable[Partition],
    high_watermarks: Mapping[Partition, int] | None = None,
) -> list[CursorLag]:
    """Return one row per partition: of ``partitions``, and of all others with a committed offset.

    ``high_watermarks`` were read before ``log_ends``: what was committed in between counts as stable.
    """
    rows = [
        _row(name, partition, configured, committed.get(partition), log_ends.get(partition))
        for partition in sorted({*partitions, *committed})
    ]
    marks = high_watermarks or {}
    return [row._replace(in_transactions=_beyond(row.log_end, marks.get(row.partition))) for row in rows]


def _beyond(log_end: int | None, high_watermark: int | None) -> int:
    return 0 if log_end is None or high_watermark is None else max(0, high_watermark - log_end)


def _row(
    name: str, partition: Partition, configured: bool, committed: Committed | None, log_end: int | None
) -> CursorLag:
    if committed is None:
        return CursorLag(name, partition, configured, None, log_end, None, 0, ())
    problem = ""
    try:
        done = completion_map.decode(*committed)
    except completion_map.DamagedMapError as exc:
        done, problem = completion_map.Completion(committed.offset, committed.offset), f"map ignored: {exc}"
    return CursorLag(
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
        completion=done,
    )


def total_lag(rows: Collection[CursorLag]) -> Backlog | None:
    """Return the sum of the backlogs, or None if no offset was committed yet."""
    known = [row.backlog for row in rows if row.backlog is not None]
    if not known:
        return None
    bounds = {backlog.bound for backlog in known} - {"exact"}
    bound: Bound = "exact" if not bounds else "at most" if bounds == {"at most"} else "at least"
    exact = [backlog.events for backlog in known if bound != "at least" or backlog.bound != "at most"]
    oldest = [backlog.oldest_ms for backlog in known if backlog.oldest_ms is not None]
    return Backlog(sum(exact), bound, min(oldest, default=None))


def age(since_ms: int | None, now_s: float) -> str:
    """Return how long ago an instant was, in the largest unit that is not zero; "-" without one."""
    if since_ms is None:
        return "-"
    seconds = max(0, round(now_s - since_ms / 1000))
    for unit, length_s in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds // length_s}{unit}"
    return f"{seconds}s"


def _instant(unix_s: int) -> str:
    try:
        return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return ""
