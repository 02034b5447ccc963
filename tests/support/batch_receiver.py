"""A transport and its receiver for several events in one request."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import TransportError
from bridge.model import Request, Response


@dataclass
class SentBatch:
    """One request as the receiver got it: the ids of its events and their webhook ids, in order."""

    ids: list[str]
    webhook_ids: list[str]
    entities: list[str]
    request: Request

    def header(self, name: bytes) -> bytes:
        """Return the only header with this name."""
        (value,) = (value for key, value in self.request.headers if key == name)
        return value


Answer = Callable[[SentBatch], Awaitable[Response | TransportError | int]]


def read_events(body: bytes) -> list[dict[str, Any]]:
    """Return the events of a body of any form."""
    events: list[dict[str, Any]]
    if body[:1] == b"[":
        events = json.loads(body)
    elif body.startswith(b'{"events":'):
        events = json.loads(body)["events"]
    else:
        events = [json.loads(line) for line in body.splitlines()]
    return events


def naming(*failed: str | int) -> Response:
    """Return the answer that names these events as failed."""
    return Response(200, (), json.dumps({"failed": failed}).encode())


async def _ok(_: SentBatch) -> int:
    return 200


@dataclass
class BatchReceiver:
    """Keeps the batches that it got. ``answer`` may be replaced at any time.

    ``accepted`` has the ids of the events as a careful receiver takes them: in order, and after an event that
    failed no other of its entity.
    """

    answer: Answer = _ok
    sent: list[SentBatch] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    in_flight: int = 0

    async def send(self, request: Request, timeout_s: float) -> Response:
        events = read_events(request.body)
        batch = SentBatch(
            [event["data"]["id"] for event in events],
            [event["webhook_id"] for event in events],
            [event["data"]["entity"] for event in events],
            request,
        )
        self.sent.append(batch)
        self.in_flight += 1
        try:
            answer = await self.answer(batch)
        finally:
            self.in_flight -= 1
        if isinstance(answer, TransportError):
            raise answer
        response = Response(answer, (), b"") if isinstance(answer, int) else answer
        if 200 <= response.status < 300:
            self._accept(batch, response)
        return response

    def _accept(self, batch: SentBatch, response: Response) -> None:
        failed = json.loads(response.body or b"{}").get("failed", [])
        stopped = set()
        for place, (id_, entity) in enumerate(zip(batch.ids, batch.entities, strict=True)):
            if place in failed or batch.webhook_ids[place] in failed:
                stopped.add(entity)
            if entity not in stopped:
                self.accepted.append(id_)

    async def close(self) -> None:
        return

    @property
    def batches(self) -> list[list[str]]:
        """The ids of the events of each request."""
        return [batch.ids for batch in self.sent]
