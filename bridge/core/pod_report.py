"""The report of one bridge process as a record of ``<group>.control``, for consoles and other pods. Pure.

Invariant: the last record of a key is the state of that process, and a record always fits the topic, whatever
the number of endpoints and partitions. Texts contain no secret: they are scrubbed where they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from bridge.core.instant import precise_instant

PREFIX: Final = b"pod/"
"""Keys are ``pod/<name>``: the name in the group, or ``<host>-<process id>``. A tombstone: it has stopped."""
GONE_AFTER_S: Final = 180.0
"""A process whose last report is older has died: each writes one per minute."""
_MOST_BYTES: Final = 32 * 1024
"""Half of what a record of the control topic may have (``max.message.bytes``)."""
_TEXT_CHARS: Final = 300


class DamagedReportError(ValueError):
    """A record of the control topic that is no report of this format."""


class EndpointReport(NamedTuple):
    """One endpoint in one process.

    ``breaker`` is ``closed``, ``open`` or ``half-open``. ``rate_per_s`` is what an overloaded receiver was
    found to take, None without such a limit; ``concurrency`` the requests that may be in flight now;
    ``slow`` why one of the two is lowered, empty if neither is. ``in_flight`` are requests without an answer,
    ``held`` lanes that wait for a parked event. ``waiting`` are events that are read and not settled, and
    ``unread`` the offsets that are not read for it yet: more events than these cannot wait, except in bulk
    records. ``oldest_ms`` is the record timestamp of the oldest event that waits (Unix milliseconds), if any.
    """

    on: bool = True
    breaker: str = "closed"
    rate_per_s: float | None = None
    concurrency: int = 0
    slow: str = ""
    in_flight: int = 0
    held: int = 0
    waiting: int = 0
    unread: int = 0
    oldest_ms: int | None = None


class PodReport(NamedTuple):
    """What one process does, at the instant ``at``.

    ``since`` and ``at`` are RFC 3339 instants: of the start and of the report. ``state`` is a word of
    ``bridge.core.readiness.State``, ``words`` a line for a person. ``partitions`` are the numbers of the
    assigned partitions by topic. ``config_hash`` identifies the configuration in force and ``config_error``
    is why the last change of it was not accepted; both are empty if they are not known. ``cut``: endpoints or
    partitions are left out, because the record would be too large.
    """

    name: str
    version: str
    host: str
    since: str
    at: str
    ready: bool
    state: str
    words: str
    partitions: Mapping[str, tuple[int, ...]] = {}
    endpoints: Mapping[str, EndpointReport] = {}
    config_hash: str = ""
    config_error: str = ""
    cut: bool = False

    def to_bytes(self) -> bytes:
        """Return the value of its record; leave out endpoints and partitions until it is small enough."""
        report = self._replace(words=self.words[:_TEXT_CHARS], config_error=self.config_error[:_TEXT_CHARS])
        while len(value := _dump(report)) > _MOST_BYTES and (report.endpoints or report.partitions):
            report = _halve(report)
        return value

    def is_gone(self, now_s: float) -> bool:
        """Return True if the process wrote no report for so long that it has died. ``now_s``: Unix time."""
        return now_s - datetime.fromisoformat(self.at).timestamp() > GONE_AFTER_S

    @property
    def steady(self) -> tuple[object, ...]:
        """Return what is worth a report before the next is due: everything but counts that always change."""
        endpoints = {
            name: (one.on, one.breaker, bool(one.slow), one.held > 0) for name, one in self.endpoints.items()
        }
        return (
            self.name,
            self.ready,
            self.state,
            self.partitions,
            endpoints,
            self.config_hash,
            self.config_error,
        )


def instant(unix_s: float) -> str:
    """Return an instant as the reports have it, with milliseconds."""
    return precise_instant(int(unix_s * 1000))


def key_of(name: str) -> bytes:
    """Return the key of the reports of a process."""
    return PREFIX + name.encode()


def name_of(key: bytes | None) -> str | None:
    """Return the name of the process that a key belongs to; None if it is no report."""
    text = (key or b"").decode("utf-8", "replace")
    prefix = PREFIX.decode()
    return text.removeprefix(prefix) if text.startswith(prefix) and text != prefix else None


def read_report(name: str, value: bytes) -> PodReport:
    """Return the report in a record's value. Raises ``DamagedReportError``."""
    try:
        document = orjson.loads(value)
        endpoints = {
            str(endpoint): EndpointReport(**_known(EndpointReport._fields, fields))
            for endpoint, fields in document.pop("endpoints", {}).items()
        }
        partitions = {
            str(topic): tuple(map(int, numbers)) for topic, numbers in document.pop("partitions", {}).items()
        }
        report = PodReport(
            name, **_known(PodReport._fields[1:], document), partitions=partitions, endpoints=endpoints
        )
        datetime.fromisoformat(report.at)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise DamagedReportError("it is no report of this release") from exc
    return report


class PodReports:
    """The last report of each process of the group, by its name, as read from the topic."""

    def __init__(self, on_change: Callable[[str], object] | None = None) -> None:
        """``on_change`` is called with the name of a process whose report was read or deleted."""
        self._reports: dict[str, PodReport] = {}
        self._on_change = on_change

    def put(self, name: str, report: PodReport | None) -> None:
        """Set the report of a process; None removes it."""
        self._reports.pop(name, None)
        if report is not None:
            self._reports[name] = report
        if self._on_change is not None:
            self._on_change(name)

    def alive(self, now_s: float) -> list[PodReport]:
        """Return the reports of the processes that have not died, by name. ``now_s``: Unix time."""
        return [report for _, report in sorted(self._reports.items()) if not report.is_gone(now_s)]


def _dump(report: PodReport) -> bytes:
    document = report._asdict()
    document.pop("name")
    document["endpoints"] = {name: one._asdict() for name, one in report.endpoints.items()}
    return orjson.dumps(document)


def _halve(report: PodReport) -> PodReport:
    """Leave out half of the endpoints, those that work first, and half of the partitions."""
    troubled_first = sorted(report.endpoints.items(), key=lambda item: _is_fine(item[1]))
    numbers = [(topic, number) for topic, all_ in report.partitions.items() for number in all_]
    partitions: dict[str, tuple[int, ...]] = {}
    for topic, number in numbers[: len(numbers) // 2]:
        partitions[topic] = (*partitions.get(topic, ()), number)
    return report._replace(
        endpoints=dict(troubled_first[: len(troubled_first) // 2]), partitions=partitions, cut=True
    )


def _is_fine(endpoint: EndpointReport) -> bool:
    return endpoint.on and endpoint.breaker == "closed" and not endpoint.slow and not endpoint.held


def _known(fields: tuple[str, ...], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of this release; a newer one may have more."""
    return {name: document[name] for name in fields if name in document}
