"""Do each change of the console once per ``Idempotency-Key``, and record it.

Invariant: a repetition gets the first answer, also after a restart: the record of a change in the audit
has its answer. A re-send or a job writes that record in its own transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import orjson
import structlog

from bridge.console.job_actions import Receipt
from bridge.console.ports import Done, Who
from bridge.console.store.control import ANSWER, ControlQueries
from bridge.core.changes import Change
from bridge.errors import ActionRefused
from bridge.telemetry import events
from bridge.telemetry.scrub import scrub
from bridge.wiring.audit import audit_record, now

Write = Callable[[Who, dict[bytes, bytes | None]], Awaitable[None]]
"""Write records of the control topic. Raises ``KafkaUnavailable``."""
_log = structlog.get_logger()
_MOST_REMEMBERED = 1000
_MOST_MESSAGE = 300


class Operation(NamedTuple):
    """What is done: two requests with one ``Idempotency-Key`` must mean the same."""

    action: str
    subject: str


class IdempotentChanges:
    """The changes that were made, by who made them and with which key."""

    def __init__(self, control: ControlQueries, write: Write) -> None:
        """``control`` has the changes that were made before this process started."""
        self._control = control
        self._write = write
        self._recent: dict[tuple[str, str], tuple[Operation, asyncio.Task[Done]]] = {}

    async def once_recorded(
        self, operation: Operation, who: Who, work: Callable[[Receipt], Awaitable[Done]]
    ) -> Done:
        """Do an operation whose ``work`` writes its audit and the receipt together with what it does."""
        return await self.once(
            operation, who, lambda: work(lambda done: _receipt(operation, who, done)), recorded=True
        )

    async def once(
        self, operation: Operation, who: Who, work: Callable[[], Awaitable[Done]], *, recorded: bool = False
    ) -> Done:
        """Do an operation and record it; for a known key, return the first answer instead.

        ``recorded``: ``work`` writes the record.
        """
        if not who.key:
            return await self._do(operation, who, work, recorded=recorded)
        name = who.by, who.key
        known = self._recent.get(name)
        if known is None:
            stored = await self._stored(operation, who)
            if stored is not None:
                return stored
            known = self._recent.get(name)  # another request with it may have come meanwhile
        if known is None:
            known = operation, asyncio.ensure_future(self._do(operation, who, work, recorded=recorded))
            self._recent[name] = known
            while len(self._recent) > _MOST_REMEMBERED:
                del self._recent[next(iter(self._recent))]
        _require_same(known[0], operation, who)
        try:
            return await known[1]
        except BaseException:
            self._recent.pop(name, None)  # it was not done: the next request tries again
            raise

    async def _stored(self, operation: Operation, who: Who) -> Done | None:
        for change in await self._control.change_with(who.key):
            if change.by == who.by:
                _require_same(_operation_of(change), operation, who)
                return _answer(change)
        return None

    async def _do(
        self, operation: Operation, who: Who, work: Callable[[], Awaitable[Done]], *, recorded: bool
    ) -> Done:
        done = await work()
        if not recorded:
            change = Change(now(), who.by, *_cut(operation), who.why, done.message, who.key, _answer_of(done))
            await self._write(who, audit_record(change))
        _log.info(
            events.CONSOLE_CHANGED,
            action=operation.action,
            subject=_cut(operation).subject,
            by=who.by,
            reason=scrub(who.why),
        )
        return done


def _receipt(operation: Operation, who: Who, done: Done) -> Sequence[Change]:
    """Return the record of an answer, for what is written together with it; none without a key."""
    if not who.key:
        return ()
    action, subject = _cut(Operation(ANSWER, f"{operation.action}: {operation.subject}"))
    details = scrub(done.message)
    return (Change(now(), who.by, action, subject, scrub(who.why), details, who.key, _answer_of(done)),)


def _answer_of(done: Done) -> str:
    """Return an answer as its record has it."""
    short = {"message": done.message[:_MOST_MESSAGE], "count": done.count, "job": done.job}
    return orjson.dumps(short).decode()


def _require_same(known: Operation, operation: Operation, who: Who) -> None:
    if _cut(known) != _cut(operation):
        raise ActionRefused(
            f"Idempotency-Key {who.key!r}",
            f"it was used for another change ({known.action} {known.subject[:100]})",
            "create a new key for each change",
        )


def _cut(operation: Operation) -> Operation:
    """Return an operation as its record has it: texts are limited and scrubbed."""
    return Operation(operation.action, scrub(operation.subject)[:500])


def _operation_of(change: Change) -> Operation:
    """Return what a record of the audit contains."""
    if change.action != ANSWER:
        return Operation(change.action, change.subject)
    action, _, subject = change.subject.partition(": ")
    return Operation(action, subject)


def _answer(change: Change) -> Done:
    try:
        document = orjson.loads(change.answer)
        return Done(str(document["message"]), document["count"], document["job"])
    except (ValueError, KeyError, TypeError):
        return Done(change.details)
