"""What the API and the pages change (``bridge.console.ports.Actions``).

Invariant: a change with an ``Idempotency-Key`` is done once: a repetition gets the first answer, also after a
restart. The record of the answer is written in the transaction of a re-send or a job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

import orjson
import structlog
from pydantic_core import PydanticCustomError

from bridge.console.job_actions import JobActions, Receipt
from bridge.console.parked_actions import ParkedActions
from bridge.console.ports import Done, Who
from bridge.console.query import AttemptQuery, ParkedQuery
from bridge.console.store.attempts import AttemptQueries
from bridge.console.store.control import ANSWER, ControlQueries
from bridge.console.store.database import Database
from bridge.console.store.parked import ParkedQueries
from bridge.core.changes import Change
from bridge.core.jobs import JobState
from bridge.core.switches import ALL, EventTypes, Subject, Switch, key_of
from bridge.errors import ActionRefused
from bridge.resend.service import Resending
from bridge.settings import Settings
from bridge.settings.models.values import event_pattern
from bridge.telemetry import events
from bridge.telemetry.scrub import scrub
from bridge.wiring.audit import audit_record, now, write_control
from bridge.wiring.kafka import attempts_topic
from bridge.wiring.replay_plan import ReplayRequest

_log = structlog.get_logger()
_MOST_REMEMBERED = 1000
_MOST_MESSAGE = 300
_MOST_PATTERN = 300


class _Deed(NamedTuple):
    """What is done: two requests with one ``Idempotency-Key`` must mean the same."""

    action: str
    subject: str


class StoreActions:
    """See ``bridge.console.ports.Actions``."""

    def __init__(
        self, settings: Settings, database: Database, resending: Resending, carry_out: Callable[[str], None]
    ) -> None:
        """``carry_out`` is called with the id of each re-send that this console is to run."""
        self._settings = settings
        self._control = ControlQueries(database)
        self._attempts = AttemptQueries(database, attempts_topic(settings))
        self._parked = ParkedActions(settings, ParkedQueries(database))
        self._jobs = JobActions(settings, self._control, resending, carry_out)
        self._recent: dict[tuple[str, str], tuple[_Deed, asyncio.Task[Done]]] = {}

    async def switch_endpoint(self, name: str, on: bool, who: Who) -> Done:
        """Turn an endpoint on or off; ``*`` turns all."""
        if name != ALL and name not in self._settings.endpoints:
            raise ActionRefused(f"endpoint {name!r}", "it is not configured", "see the list of endpoints")
        names = list(self._settings.endpoints) if name == ALL else [name]

        async def work() -> Done:
            switch = _switch(on, who)
            await self._write(who, {key_of(one): switch.to_bytes() for one in names})
            return Done(f"{', '.join(names)} {_is(names)} {switch.state}", len(names))

        return await self._once(_Deed(f"endpoint {_state(on)}", name), who, work)

    async def switch_events(self, pattern: str, endpoint: str, on: bool, who: Who) -> Done:
        """Turn event types on or off, for one endpoint or for all (``*``)."""
        if endpoint != ALL and endpoint not in self._settings.endpoints:
            raise ActionRefused(f"endpoint {endpoint!r}", "it is not configured", "see the list of endpoints")
        _check_pattern(pattern)
        subject: Subject = EventTypes(pattern, endpoint)

        async def work() -> Done:
            switch = _switch(on, who)
            await self._write(who, {key_of(subject): switch.to_bytes()})
            return Done(f"{subject} is {switch.state}")

        return await self._once(_Deed(f"events {_state(on)}", str(subject)), who, work)

    async def redrive(self, addresses: Sequence[str], who: Who) -> Done:
        """Send parked events again, in order."""
        deed = _Deed("parked redrive", ", ".join(addresses))
        return await self._once(deed, who, lambda: self._parked.redrive(addresses, who))

    async def redrive_all(self, query: ParkedQuery, who: Who) -> Done:
        """Send all parked events again that a query selects."""
        deed = _Deed("parked redrive", _words(query))
        return await self._once(deed, who, lambda: self._parked.redrive_all(query, who))

    async def discard(self, addresses: Sequence[str], who: Who) -> Done:
        """Mark parked events as never to be sent."""
        deed = _Deed("parked discard", ", ".join(addresses))
        return await self._once(deed, who, lambda: self._parked.discard(addresses, who))

    async def resend(self, attempt_id: str, who: Who, *, render: bool = False, new_id: bool = False) -> Done:
        """Send the event of one attempt again."""
        deed = _Deed("resend", f"{attempt_id}, {_listed({'render': render, 'new_id': new_id})}")
        return await self._once_recorded(
            deed,
            who,
            lambda receipt: self._jobs.resend(attempt_id, who, receipt, render=render, new_id=new_id),
        )

    async def count(self, query: AttemptQuery) -> int:
        """Return how many events a bulk re-send of this query would send."""
        return await self._attempts.count(query)

    async def resend_all(
        self,
        query: AttemptQuery,
        who: Who,
        *,
        render: bool = False,
        new_id: bool = False,
        rate_per_s: float | None = None,
    ) -> Done:
        """Start a job that sends again all events that a query selects."""
        how = _listed({"render": render, "new_id": new_id, "rate_per_s": rate_per_s})
        return await self._once_recorded(
            _Deed("resend start", f"{_words(query)}, {how}"),
            who,
            lambda receipt: self._jobs.resend_all(
                query, who, receipt, render=render, new_id=new_id, rate_per_s=rate_per_s
            ),
        )

    async def plan_replay(self, request: ReplayRequest, who: Who) -> Done:
        """Return how many events a replay would send. It starts nothing, so there is nothing to record."""
        return await self._jobs.plan_replay(request, who)

    async def replay(self, request: ReplayRequest, who: Who) -> Done:
        """Start a job that sends the log of the sources again to an endpoint."""
        deed = _Deed("replay start", _listed(request._asdict()))
        return await self._once_recorded(deed, who, lambda receipt: self._jobs.replay(request, who, receipt))

    async def pause_job(self, job_id: str, who: Who) -> Done:
        """Pause a job."""
        return await self._change_job("job pause", job_id, JobState.PAUSED, who)

    async def resume_job(self, job_id: str, who: Who) -> Done:
        """Let a paused job go on."""
        return await self._change_job("job resume", job_id, JobState.RUNNING, who)

    async def cancel_job(self, job_id: str, who: Who) -> Done:
        """End a job for good."""
        return await self._change_job("job cancel", job_id, JobState.CANCELLED, who)

    async def _change_job(self, action: str, job_id: str, state: JobState, who: Who) -> Done:
        return await self._once_recorded(
            _Deed(action, job_id), who, lambda receipt: self._jobs.set_state(job_id, state, who, receipt)
        )

    async def _write(self, who: Who, records: dict[bytes, bytes | None]) -> None:
        await write_control(self._settings, who.by, records)

    async def _once_recorded(self, deed: _Deed, who: Who, work: Callable[[Receipt], Awaitable[Done]]) -> Done:
        """Do a deed whose ``work`` writes its audit and the receipt together with what it does."""
        return await self._once(
            deed, who, lambda: work(lambda done: _receipt(deed, who, done)), recorded=True
        )

    async def _once(
        self, deed: _Deed, who: Who, work: Callable[[], Awaitable[Done]], *, recorded: bool = False
    ) -> Done:
        """Do a deed and record it, unless it is ``recorded``; for a known key, return the first answer."""
        if not who.key:
            return await self._do(deed, who, work, recorded=recorded)
        name = who.by, who.key
        known = self._recent.get(name)
        if known is None:
            stored = await self._stored(deed, who)
            if stored is not None:
                return stored
            known = self._recent.get(name)  # another request with it may have come meanwhile
        if known is None:
            known = deed, asyncio.ensure_future(self._do(deed, who, work, recorded=recorded))
            self._recent[name] = known
            while len(self._recent) > _MOST_REMEMBERED:
                del self._recent[next(iter(self._recent))]
        _require_same(known[0], deed, who)
        try:
            return await known[1]
        except BaseException:
            self._recent.pop(name, None)  # it was not done: the next request tries again
            raise

    async def _stored(self, deed: _Deed, who: Who) -> Done | None:
        for change in await self._control.change_with(who.key):
            if change.by == who.by:
                _require_same(_deed_of(change), deed, who)
                return _answer(change)
        return None

    async def _do(
        self, deed: _Deed, who: Who, work: Callable[[], Awaitable[Done]], *, recorded: bool
    ) -> Done:
        done = await work()
        if not recorded:
            change = Change(now(), who.by, *_cut(deed), who.why, done.message, who.key, _answer_of(done))
            await self._write(who, audit_record(change))
        _log.info(
            events.CONSOLE_CHANGED,
            action=deed.action,
            subject=_cut(deed).subject,
            by=who.by,
            reason=scrub(who.why),
        )
        return done


def _receipt(deed: _Deed, who: Who, done: Done) -> Sequence[Change]:
    """Return the record of an answer, for what is written together with it; none without a key."""
    if not who.key:
        return ()
    action, subject = _cut(_Deed(ANSWER, f"{deed.action}: {deed.subject}"))
    details = scrub(done.message)
    return (Change(now(), who.by, action, subject, scrub(who.why), details, who.key, _answer_of(done)),)


def _answer_of(done: Done) -> str:
    """Return an answer as its record has it."""
    short = {"message": done.message[:_MOST_MESSAGE], "count": done.count, "job": done.job}
    return orjson.dumps(short).decode()


def _check_pattern(pattern: str) -> None:
    """Raise ``ActionRefused`` for what is no pattern of event types."""
    try:
        event_pattern(pattern)
    except PydanticCustomError as exc:
        raise ActionRefused("the pattern", exc.message(), "write a type or a pattern such as Loan*") from None
    if pattern.startswith("!") or len(pattern) > _MOST_PATTERN:
        raise ActionRefused(
            "the pattern", "it is an exclusion, or too long", "write a type or a pattern such as Loan*"
        )


def _require_same(known: _Deed, deed: _Deed, who: Who) -> None:
    if _cut(known) != _cut(deed):
        raise ActionRefused(
            f"Idempotency-Key {who.key!r}",
            f"it was used for another change ({known.action} {known.subject[:100]})",
            "create a new key for each change",
        )


def _cut(deed: _Deed) -> _Deed:
    """Return a deed as its record has it: texts are limited and scrubbed."""
    return _Deed(deed.action, scrub(deed.subject)[:500])


def _deed_of(change: Change) -> _Deed:
    """Return what a record of the audit contains."""
    if change.action != ANSWER:
        return _Deed(change.action, change.subject)
    action, _, subject = change.subject.partition(": ")
    return _Deed(action, subject)


def _answer(change: Change) -> Done:
    try:
        document = orjson.loads(change.answer)
        return Done(str(document["message"]), document["count"], document["job"])
    except (ValueError, KeyError, TypeError):
        return Done(change.details)


def _switch(on: bool, who: Who) -> Switch:
    return Switch(on, now(), who.by, scrub(who.why) or f"turned {_state(on)} in the console")


def _state(on: bool) -> str:
    return "on" if on else "off"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _words(query: ParkedQuery | AttemptQuery) -> str:
    """Return a query as one line."""
    return _listed(asdict(query)) or "all"


def _listed(given: Mapping[str, object]) -> str:
    """Return the values that are given, each with its name."""
    return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)
