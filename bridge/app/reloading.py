"""Reload the configuration: when its files change, on SIGHUP, and when an operator requests it.

Invariant: a configuration that is not taken over changes nothing, and stops nothing. Reloads happen one after
another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

import structlog

from bridge.app.config_file import Candidate, Source
from bridge.app.in_force import InForce
from bridge.clock import Clock
from bridge.core.reload_state import ReloadState
from bridge.errors import CommitError, ConfigError, KafkaUnavailable
from bridge.settings import Settings
from bridge.settings.changes import SettingsChange, compare
from bridge.telemetry import events, logs
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.scrub import scrub

_log = structlog.get_logger()
LOOK_S = 0.5
"""Between two looks at the files, which cost a ``stat`` of each."""
_TRY_AGAIN_S = 5.0


class Outcome(StrEnum):
    """What came of a reload."""

    TAKEN_OVER = "taken_over"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    """It has mistakes, or changes what needs a restart."""
    FAILED = "failed"
    """It is valid, and the broker did not let it be taken over: it is tried again."""


class Reloads:
    """Brings the configuration file into force whenever it changes.

    ``state`` is what is in force and the last error.
    """

    def __init__(self, source: Source, in_force: InForce, metrics: Metrics, clock: Clock) -> None:
        self._file = source.file
        self._in_force = in_force
        self._metrics = metrics
        self._clock = clock
        self._digests = source.digests
        self._seen = source.stamps
        self._asked: list[Callable[[Outcome, ReloadState], Awaitable[None]]] = []
        self._wake = asyncio.Event()
        self._retry_at: float | None = None
        self.state = ReloadState(source.hash, clock.time())
        self._show()

    @property
    def mode(self) -> str:
        """Return ``watch``, ``signal`` or ``off``."""
        return self._in_force.settings.reload

    def request(self, answer: Callable[[Outcome, ReloadState], Awaitable[None]] | None = None) -> None:
        """Read the configuration again soon. ``answer`` is called with what came of it."""
        if answer is not None:
            self._asked.append(answer)
        self._wake.set()

    async def run(self) -> None:
        """Reload when there is a reason to, until cancelled."""
        while True:
            await self._reason()
            asked, self._asked = self._asked, []
            outcome = await self._reload()
            for answer in asked:
                await answer(outcome, self.state)

    async def _reason(self) -> None:
        """Return when files have changed and are complete, or when a reload is due."""
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            if self._wake.is_set():
                self._wake.clear()
                return
            if self._retry_at is not None and self._clock.monotonic() >= self._retry_at:
                return
            if self.mode == "watch" and await self._changed():
                return

    async def _changed(self) -> bool:
        """Return True if the files have changed, and do not change any more."""
        stamps = await asyncio.to_thread(self._file.stamps)
        if stamps == self._seen:
            return False
        while True:  # a writer may need several steps: a copy, or one file after another
            await asyncio.sleep(LOOK_S / 4)
            later = await asyncio.to_thread(self._file.stamps)
            if later == stamps:
                return True
            stamps = later

    async def _reload(self) -> Outcome:
        """Read the configuration, and take it over if it may be. Raises nothing."""
        self._retry_at = None
        try:
            outcome = await self._try()
        except Exception as exc:
            _log.exception(events.CONFIG_FAILED_INSIDE)
            self.state = self.state.failed(f"internal error: {type(exc).__name__}", self._clock.time())
            outcome = Outcome.FAILED
        self._metrics.config_reloads.labels(outcome.value).inc()
        self._show()
        return outcome

    async def _try(self) -> Outcome:
        if self.mode == "off":
            self.state = self.state.failed("reload is off; restart the process", self._clock.time())
            return Outcome.REFUSED
        candidate = await asyncio.to_thread(self._file.read)
        self._seen = candidate.stamps
        if candidate.settings is None:
            return self._refuse(candidate.problems)
        before, after = (self._in_force.settings, candidate.settings), (self._digests, candidate.digests)
        change = await asyncio.to_thread(compare, *before, *after)
        if change.refused:
            return self._refuse([_needs_restart(name) for name in change.refused])
        if change.is_empty:
            self.state = self.state.unchanged()
            _log.info(events.CONFIG_UNCHANGED, hash=self.state.hash)
            return Outcome.UNCHANGED
        return await self._take_over(candidate, candidate.settings, change)

    async def _take_over(self, candidate: Candidate, settings: Settings, change: SettingsChange) -> Outcome:
        try:
            await self._in_force.take_over(settings, change)
        except ConfigError as exc:
            return self._refuse(list(exc.problems))
        except (KafkaUnavailable, CommitError) as exc:
            return self._fail(exc)
        self._digests = candidate.digests
        self.state = self.state.taken_over(candidate.hash, self._clock.time())
        logs.set_level(settings.log.level)
        _log.info(
            events.CONFIG_TAKEN_OVER,
            hash=candidate.hash,
            added=sorted(change.added),
            removed=sorted(change.removed),
            changed=sorted(change.changed),
            others=change.others,
        )
        return Outcome.TAKEN_OVER

    def _refuse(self, problems: list[str]) -> Outcome:
        """Note a configuration with mistakes, or with what needs a restart."""
        shown = [scrub(problem) for problem in problems]
        self.state = self.state.failed("; ".join(shown), self._clock.time())
        _log.error(
            events.CONFIG_REFUSED,
            problems=shown,
            in_force=self.state.hash,
            remedy="correct the file, or restart for what needs a restart; the configuration before is in"
            " force",
        )
        return Outcome.REFUSED

    def _fail(self, exc: KafkaUnavailable | CommitError) -> Outcome:
        self._retry_at = self._clock.monotonic() + _TRY_AGAIN_S
        self.state = self.state.failed(scrub(str(exc)), self._clock.time())
        _log.warning(
            events.CONFIG_FAILED,
            cause=scrub(str(exc)),
            remedy="none needed: it is tried again every few seconds",
        )
        return Outcome.FAILED

    def _show(self) -> None:
        self._metrics.show_config(self.state.hash, self.state.since)


def _needs_restart(name: str) -> str:
    return f"{name}: a change needs a restart; restart the process, or set it back"
