"""What requests to the API contain: filters, bodies of changes, and who sent them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from bridge.console.access import Logins
from bridge.console.actor import Actor
from bridge.console.api.problems import Problem
from bridge.console.ports import Who
from bridge.console.query import AttemptQuery, ParkedQuery
from bridge.history.selection import check_status
from bridge.wiring.replay_plan import ReplayRequest

Text = Annotated[str, Field(max_length=500)]
MOST_ROWS = 500
_CHALLENGE = {"www-authenticate": 'Bearer realm="hookferry"'}


class Body(BaseModel):
    """The base of every body: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reason(Body):
    """Why something is changed; the audit shows it."""

    reason: Text = ""


class EventsSwitch(Reason):
    """Event types to switch: those that a pattern matches, for one endpoint or for all (``*``)."""

    pattern: Annotated[str, Field(min_length=1, max_length=250)]
    endpoint: Annotated[str, Field(min_length=1, max_length=63)] = "*"


class ParkedFilter(Body):
    """Parked events by filters."""

    endpoint: Text | None = None
    type: Text | None = None
    entity: Text | None = None
    cause: Text | None = None
    since: datetime | None = None
    until: datetime | None = None

    def query(self) -> ParkedQuery:
        """Return the filters of the store."""
        return ParkedQuery(
            self.endpoint, self.type, self.entity, self.cause, None, seconds(self.since), seconds(self.until)
        )


class Redrive(Reason):
    """Parked events to send again: by their addresses, or by filters."""

    addresses: Annotated[list[Text], Field(max_length=10_000)] = []
    filter: ParkedFilter | None = None


class Discard(Reason):
    """Parked events that are never to be sent."""

    addresses: Annotated[list[Text], Field(min_length=1, max_length=10_000)]


class Resend(Reason):
    """How one event is sent again: as it was, or rendered again; with its webhook-id or a new one."""

    render: bool = False
    new_id: bool = False


class AttemptFilter(Body):
    """Attempts by filters, as in the list of attempts."""

    endpoint: Text | None = None
    event: Text | None = None
    type: Text | None = None
    entity: Text | None = None
    tenant: Text | None = None
    since: datetime | None = None
    until: datetime | None = None
    status: Text | None = None
    verdict: Literal["delivered", "again", "park", "off"] | None = None
    text: Text | None = None

    def query(self) -> AttemptQuery:
        """Return the filters of the store. Raises ``Problem``."""
        return AttemptQuery(
            self.endpoint, self.event, self.type, self.entity, self.tenant, seconds(self.since),
            seconds(self.until), _status(self.status), self.verdict, self.text or None,
        )  # fmt: skip


class ResendAll(Resend):
    """A bulk re-send. With ``dry_run`` it only counts."""

    filter: AttemptFilter
    dry_run: bool = False
    rate_per_s: Annotated[float, Field(gt=0, le=100_000)] | None = None


class Replay(Reason):
    """A replay of the sources' log to one endpoint."""

    endpoint: Annotated[str, Field(min_length=1, max_length=63)]
    since: datetime
    until: datetime | None = None
    type: Text | None = None
    entity: Text | None = None
    when: Annotated[str, Field(max_length=5000)] | None = None
    rate_per_s: Annotated[float, Field(gt=0, le=100_000)] | None = None

    def request(self) -> ReplayRequest:
        """Return what is to be sent again."""
        return ReplayRequest(
            self.endpoint,
            _ms(self.since),
            None if self.until is None else _ms(self.until),
            (self.type,) if self.type else (),
            self.entity,
            self.when,
            rate_per_s=self.rate_per_s,
        )


def seconds(at: datetime | None) -> float | None:
    """Return an instant in Unix seconds; without a zone it is UTC."""
    return None if at is None else _seconds(at)


def _seconds(at: datetime) -> float:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _ms(at: datetime) -> int:
    return round(_seconds(at) * 1000)


def _status(text: str | None) -> str | None:
    if not text:
        return None
    try:
        return check_status(text)
    except ValueError as exc:
        raise Problem(422, f"status: {exc}") from exc


def attempt_query(
    endpoint: Annotated[str | None, Query(max_length=500)] = None,
    event: Annotated[str | None, Query(max_length=500, description="id or webhook-id")] = None,
    type: Annotated[str | None, Query(max_length=500, description="a name, or a pattern as Loan*")] = None,
    entity: Annotated[str | None, Query(max_length=500)] = None,
    tenant: Annotated[str | None, Query(max_length=500)] = None,
    since: Annotated[datetime | None, Query(description="sent then or later")] = None,
    until: Annotated[datetime | None, Query(description="sent before")] = None,
    status: Annotated[str | None, Query(max_length=10, description="503, 5xx, or none")] = None,
    verdict: Literal["delivered", "again", "park", "off"] | None = None,
    text: Annotated[str | None, Query(max_length=500, description="in ids, reason, URL, bodies")] = None,
) -> AttemptQuery:
    """Return the filters of a list of attempts."""
    return AttemptQuery(
        endpoint, event, type, entity, tenant, seconds(since), seconds(until), _status(status), verdict,
        text or None,
    )  # fmt: skip


def parked_query(
    endpoint: Annotated[str | None, Query(max_length=500)] = None,
    type: Annotated[str | None, Query(max_length=500, description="a name, or a pattern as Loan*")] = None,
    entity: Annotated[str | None, Query(max_length=500)] = None,
    cause: Annotated[str | None, Query(max_length=500, description="a part of the cause")] = None,
    text: Annotated[str | None, Query(max_length=500)] = None,
    since: datetime | None = None,
    until: datetime | None = None,
    state: Literal["parked", "redriven", "discarded", "all"] = "parked",
) -> ParkedQuery:
    """Return the filters of a list of parked events."""
    return ParkedQuery(endpoint, type, entity, cause, text, seconds(since), seconds(until), state)


async def reader(request: Request) -> Actor:
    """Return who reads. Raises ``Problem`` with 401."""
    logins: Logins = request.app.state.logins
    token = bearer(request)
    actor = None if token is None else await logins.by_bearer(token)
    actor = actor or logins.anonymous
    if actor is None:
        cause = "this token is not valid here" if token else "a token is required"
        raise Problem(401, f"{cause}: send Authorization: Bearer, with one of console.tokens", _CHALLENGE)
    return actor


async def operator(actor: Annotated[Actor, Depends(reader)]) -> Actor:
    """Return who changes something. Raises ``Problem`` with 401 or 403."""
    if not actor.may_operate:
        raise Problem(403, f"{actor.name} may read and change nothing: the role operate is required")
    return actor


def bearer(request: Request) -> str | None:
    """Return the token of a request."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token else None


IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]
Reader = Annotated[Actor, Depends(reader)]
Operator = Annotated[Actor, Depends(operator)]
Attempts = Annotated[AttemptQuery, Depends(attempt_query)]
Parked = Annotated[ParkedQuery, Depends(parked_query)]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]
Cursor = Annotated[str | None, Query(max_length=2000)]


def who(actor: Actor, reason: Reason, key: str | None) -> Who:
    """Return who acts, and why."""
    return Who(f"{actor.name} by API", reason.reason, key or "")
