"""Receivers and a sender on a virtual clock: what an endpoint's gate makes of a receiver's limits.

A discrete-event simulation. It has no real time and no randomness beyond its seed.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple, Protocol

from bridge.core.limits import Gate
from bridge.model import AnswerKind

RTT_S = 0.005


class Answer(NamedTuple):
    """What a receiver answers: the kind, seconds after the request, and its ``Retry-After``."""

    kind: AnswerKind
    after_s: float = RTT_S
    retry_after_s: float | None = None


class Receiver(Protocol):
    """Answers a request that was sent at ``now``."""

    def __call__(self, now: float) -> Answer: ...


def always(now: float) -> float:
    """Return the full capacity at every instant."""
    return 1.0


def brown_out(begin: float, end: float, part: float = 0.1) -> Callable[[float], float]:
    """Return a capacity that falls to ``part`` between two instants."""
    return lambda now: part if begin <= now < end else 1.0


@dataclass
class TokenBucket:
    """Takes ``per_s`` requests per second and ``burst`` at once; refuses the rest at once."""

    per_s: float
    burst: float = 10.0
    kind: AnswerKind = "throttled"
    retry_after_s: float | None = None
    capacity: Callable[[float], float] = always
    _tokens: float = 0.0
    _at: float = 0.0

    def __call__(self, now: float) -> Answer:
        """Take a token, or refuse."""
        refill = (now - self._at) * self.per_s * self.capacity(now)
        self._tokens, self._at = min(self.burst, self._tokens + refill), now
        if self._tokens < 1:
            return Answer(self.kind, RTT_S, self.retry_after_s)
        self._tokens -= 1
        return Answer("ok")


@dataclass
class Pool:
    """``workers`` that need ``service_s`` for a request, give or take a half; 503 when all are busy."""

    workers: int
    service_s: float
    rng: random.Random
    kind: AnswerKind = "unavailable"
    capacity: Callable[[float], float] = always
    _busy: list[float] = field(default_factory=list)

    def __call__(self, now: float) -> Answer:
        """Occupy a worker, or refuse."""
        while self._busy and self._busy[0] <= now:
            heapq.heappop(self._busy)
        if len(self._busy) >= self.workers * self.capacity(now):
            return Answer(self.kind)
        service_s = self.service_s * self.rng.uniform(0.5, 1.5)
        heapq.heappush(self._busy, now + service_s)
        return Answer("ok", service_s + RTT_S)


@dataclass
class Flaky:
    """Takes everything, but answers a random ``part`` of the requests with 503."""

    part: float
    rng: random.Random

    def __call__(self, now: float) -> Answer:
        """Accept, or refuse at random."""
        return Answer("unavailable" if self.rng.random() < self.part else "ok")


@dataclass
class Trickle:
    """Takes everything, but answers random parts of the requests: 503, and 429 with ``Retry-After`` 1."""

    busy: float
    throttled: float
    rng: random.Random

    def __call__(self, now: float) -> Answer:
        """Accept, or refuse at random."""
        chance = self.rng.random()
        if chance < self.throttled:
            return Answer("throttled", RTT_S, 1.0)
        return Answer("unavailable" if chance < self.throttled + self.busy else "ok")


@dataclass
class Outage:
    """Answers ``kind`` to everything between two instants; otherwise another receiver's answer."""

    begin: float
    end: float
    kind: AnswerKind
    other: Receiver

    def __call__(self, now: float) -> Answer:
        """Fail during the outage."""
        return Answer(self.kind) if self.begin <= now < self.end else self.other(now)


class Sent(NamedTuple):
    """A request: when it was sent, and the kind of its answer."""

    at: float
    kind: AnswerKind


def simulate(
    gate: Gate, receiver: Receiver, seconds: float, *, concurrency: int = 64, seed: int = 1
) -> list[Sent]:
    """Send for ``seconds`` from ``concurrency`` workers with unlimited events; return all requests.

    A refused event is retried after an exponential backoff with full jitter, before any new event.
    """
    rng, order = random.Random(seed), count()
    now, free, requests = 0.0, concurrency, list[Sent]()
    answers: list[tuple[float, int, int, int, Answer]] = []
    retries: list[tuple[float, int]] = []
    while now < seconds:
        if free:
            wait_s = gate.admit(now)
            if wait_s <= 0:
                attempt = heapq.heappop(retries)[1] if retries and retries[0][0] <= now else 1
                number = gate.sent(now)
                answer = receiver(now)
                requests.append(Sent(now, answer.kind))
                item = (now + answer.after_s, next(order), number, attempt, answer)
                heapq.heappush(answers, item)
                free -= 1
                continue
        else:
            wait_s = 1e9
        if answers and answers[0][0] <= now + wait_s:
            now, _, number, attempt, answer = heapq.heappop(answers)
            gate.answered(now, answer.kind, answer.retry_after_s, number=number)
            free += 1
            if answer.kind != "ok":
                delay_s = max(rng.uniform(0, min(2.0**attempt, 600)), answer.retry_after_s or 0)
                heapq.heappush(retries, (now + delay_s, attempt + 1))
        else:
            now += max(wait_s, 1e-6)
    return requests


def accepted_per_s(requests: list[Sent], begin: float, end: float) -> float:
    """Return how many requests per second were accepted of those sent between two instants."""
    return sum(begin <= at < end and kind == "ok" for at, kind in requests) / (end - begin)


def refused_share(requests: list[Sent], begin: float, end: float) -> float:
    """Return the share of refused requests among those sent between two instants."""
    kinds = [kind for at, kind in requests if begin <= at < end]
    return sum(kind != "ok" for kind in kinds) / max(len(kinds), 1)


def recovered_after_s(requests: list[Sent], healthy_at: float, per_s: float) -> float:
    """Return the seconds from ``healthy_at`` until a second with at least ``per_s`` accepted requests."""
    accepted: dict[int, int] = {}
    for at, kind in requests:
        if kind == "ok":
            accepted[int(at * 4)] = accepted.get(int(at * 4), 0) + 1
    quarter = int(healthy_at * 4)
    last = int(requests[-1].at * 4)
    for first in range(quarter, last - 4):
        if sum(accepted.get(first + later, 0) for later in range(4)) >= per_s:
            return first / 4 - healthy_at
    return float("inf")
