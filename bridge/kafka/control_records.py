"""Apply the records of ``<group>.control`` to what they are about: switches, beginnings, and other kinds.

Invariant: a record that cannot be read changes nothing, and is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bridge.core import beginning
from bridge.core.beginning import Beginnings, DamagedBeginningError
from bridge.core.switches import (
    DamagedSwitchError,
    EventTypes,
    Subject,
    Switch,
    Switches,
    read_switch,
    subject_of,
)
from bridge.model import Record
from bridge.telemetry import events
from bridge.telemetry.sparse_log import SparseLog


class ControlRecords:
    """The state that the topic has, as far as it was read."""

    def __init__(
        self,
        switches: Switches[str],
        event_types: Switches[EventTypes],
        beginnings: Beginnings,
        others: Mapping[bytes, Callable[[Record], None]],
        lacks_beginning: Callable[[str], None],
    ) -> None:
        """``others`` are called with the records of other kinds, in order; they are by the prefix of the key.

        ``lacks_beginning`` is called with an endpoint whose record lacks something that this process knows.
        """
        self._switches = switches
        self._event_types = event_types
        self._beginnings = beginnings
        self._others = dict(others)
        self._lacks_beginning = lacks_beginning
        self._sparse_log = SparseLog()

    def put(self, subject: Subject, switch: Switch) -> None:
        """Apply the state of a subject."""
        if isinstance(subject, EventTypes):
            self._event_types.put(subject, switch)
        else:
            self._switches.put(subject, switch)

    def apply(self, record: Record, put: Callable[[Subject, Switch], None]) -> None:
        """Apply a record; ``put`` is called with the state of a subject."""
        endpoint = beginning.endpoint_of(record.key)
        if endpoint is not None:
            self._apply_beginning(record, endpoint)
            return
        subject = subject_of(record.key)
        if subject is None:
            self._apply_other(record)  # or a hold, or the key of a newer release
            return
        try:
            put(subject, read_switch(record.value))
        except DamagedSwitchError as exc:
            is_types = isinstance(subject, EventTypes)
            field, command = ("event_types", "events") if is_types else ("endpoint", "endpoints")
            self._sparse_log.error(
                events.CONTROL_IGNORED,
                place=record.place,
                **{field: str(subject)},
                cause=str(exc),
                remedy=f"its state is unchanged; set it again with `hookferry {command} on` or `off`",
            )

    def _apply_other(self, record: Record) -> None:
        for prefix, apply in self._others.items():
            if record.key is not None and record.key.startswith(prefix):
                apply(record)

    def _apply_beginning(self, record: Record, endpoint: str) -> None:
        try:
            self._beginnings.put(endpoint, beginning.read_beginning(record.value))
            if self._beginnings.unwritten([endpoint]):
                self._lacks_beginning(endpoint)
        except DamagedBeginningError as exc:
            self._sparse_log.error(
                events.CONTROL_IGNORED,
                place=record.place,
                endpoint=endpoint,
                cause=str(exc),
                remedy="none needed: the bridge writes the record again when it is assigned partitions",
            )
