"""Follow the requests of ``hookferry reload`` in the control topic, and answer each for this process.

Invariant: a request from before the start of the process has no effect: it has read the file since.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog

from bridge.app.reloading import Outcome, Reloads
from bridge.core.reload_request import DamagedReloadError, ReloadAnswer, ReloadRequest, read_request
from bridge.core.reload_state import ReloadState
from bridge.errors import KafkaUnavailable
from bridge.model import Record
from bridge.telemetry import events

_log = structlog.get_logger()
Write = Callable[[Mapping[bytes, bytes | None]], Awaitable[None]]


class ReloadRequests:
    """Passes requests on to ``Reloads``, once it is open."""

    def __init__(self) -> None:
        self._reloads: Reloads | None = None
        self._write: Write | None = None
        self._pod_name: Callable[[], str] = str
        self._last = ""
        self._hung_up = False

    def open(self, reloads: Reloads, pod_name: Callable[[], str], write: Write) -> None:
        """Pass requests on from now on; ``pod_name`` returns the name of this process, for its answers.

        ``write`` writes values by key to the control topic. Raises ``KafkaUnavailable``.
        """
        self._reloads, self._pod_name, self._write = reloads, pod_name, write
        if self._hung_up:
            self.hang_up()

    def hang_up(self) -> None:
        """Reload on SIGHUP; during the start, as soon as the start is over."""
        if self._reloads is None:
            self._hung_up = True
        elif self._reloads.mode == "off":
            _log.info(
                events.SIGNAL_IGNORED,
                signal="SIGHUP",
                remedy="restart the process to apply a changed configuration; send SIGTERM to stop it",
            )
        else:
            self._reloads.request()

    def apply(self, record: Record) -> None:
        """Pass a request on; called with each record of its key."""
        try:
            request = read_request(record.value)
        except DamagedReloadError as exc:
            _log.error(
                events.CONTROL_IGNORED,
                place=record.place,
                cause=str(exc),
                remedy="run `hookferry reload` again",
            )
            return
        if self._reloads is None or request.id == self._last:
            return
        self._last = request.id
        self._reloads.request(lambda outcome, state: self._answer(request, outcome, state))

    async def _answer(self, request: ReloadRequest, outcome: Outcome, state: ReloadState) -> None:
        assert self._write is not None, "requests are passed on after open()"
        answer = ReloadAnswer(self._pod_name(), request.id, outcome.value, state.hash, state.error)
        try:
            await self._write({answer.key: answer.to_bytes()})
        except KafkaUnavailable as exc:
            _log.warning(
                events.CONTROL_FAILED,
                cause=str(exc),
                remedy="none needed: only the answer to `hookferry reload` is missing",
            )
