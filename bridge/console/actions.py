"""What the API and the pages change (``bridge.console.ports.Actions``).

Invariant: every change goes through ``idempotency.py``, which does it once per key and records it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from pydantic_core import PydanticCustomError

from bridge.console.idempotency import IdempotentChanges, Operation
from bridge.console.job_actions import JobActions
from bridge.console.parked_actions import ParkedActions
from bridge.console.ports import Done, Who
from bridge.console.query import AttemptQuery, ParkedQuery
from bridge.console.store.attempts import AttemptQueries
from bridge.console.store.control import ControlQueries
from bridge.console.store.database import Database
from bridge.console.store.parked import ParkedQueries
from bridge.core.jobs import JobState
from bridge.core.switches import ALL, EventTypes, Subject, Switch, key_of
from bridge.errors import ActionRefused
from bridge.resend.service import Resending
from bridge.settings import Settings
from bridge.settings.models.values import event_pattern
from bridge.telemetry.scrub import scrub
from bridge.wiring.audit import now, write_control
from bridge.wiring.kafka import attempts_topic
from bridge.wiring.replay_plan import ReplayRequest

_MOST_PATTERN = 300


class StoreActions:
    """See ``bridge.console.ports.Actions``."""

    def __init__(
        self, settings: Settings, database: Database, resending: Resending, carry_out: Callable[[str], None]
    ) -> None:
        """``carry_out`` is called with the id of each re-send that this console is to run."""
        self._settings = settings
        control = ControlQueries(database)
        self._attempts = AttemptQueries(database, attempts_topic(settings))
        self._parked = ParkedActions(settings, ParkedQueries(database))
        self._jobs = JobActions(settings, control, resending, carry_out)
        self._changes = IdempotentChanges(control, self._write)

    async def switch_endpoint(self, name: str, on: bool, who: Who) -> Done:
        """Turn an endpoint on or off; ``*`` turns all."""
        if name != ALL and name not in self._settings.endpoints:
            raise ActionRefused(f"endpoint {name!r}", "it is not configured", "see the list of endpoints")
        names = list(self._settings.endpoints) if name == ALL else [name]

        async def work() -> Done:
            switch = _switch(on, who)
            await self._write(who, {key_of(one): switch.to_bytes() for one in names})
            return Done(f"{', '.join(names)} {_is(names)} {switch.state}", len(names))

        return await self._changes.once(Operation(f"endpoint {_state(on)}", name), who, work)

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

        return await self._changes.once(Operation(f"events {_state(on)}", str(subject)), who, work)

    async def redrive(self, addresses: Sequence[str], who: Who) -> Done:
        """Send parked events again, in order."""
        operation = Operation("parked redrive", ", ".join(addresses))
        return await self._changes.once(operation, who, lambda: self._parked.redrive(addresses, who))

    async def redrive_all(self, query: ParkedQuery, who: Who) -> Done:
        """Send all parked events again that a query selects."""
        operation = Operation("parked redrive", _words(query))
        return await self._changes.once(operation, who, lambda: self._parked.redrive_all(query, who))

    async def discard(self, addresses: Sequence[str], who: Who) -> Done:
        """Mark parked events as never to be sent."""
        operation = Operation("parked discard", ", ".join(addresses))
        return await self._changes.once(operation, who, lambda: self._parked.discard(addresses, who))

    async def resend(self, attempt_id: str, who: Who, *, render: bool = False, new_id: bool = False) -> Done:
        """Send the event of one attempt again."""
        operation = Operation("resend", f"{attempt_id}, {_listed({'render': render, 'new_id': new_id})}")
        return await self._changes.once_recorded(
            operation,
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
        return await self._changes.once_recorded(
            Operation("resend start", f"{_words(query)}, {how}"),
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
        operation = Operation("replay start", _listed(request._asdict()))
        return await self._changes.once_recorded(
            operation, who, lambda receipt: self._jobs.replay(request, who, receipt)
        )

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
        return await self._changes.once_recorded(
            Operation(action, job_id), who, lambda receipt: self._jobs.set_state(job_id, state, who, receipt)
        )

    async def _write(self, who: Who, records: dict[bytes, bytes | None]) -> None:
        await write_control(self._settings, who.by, records)


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
