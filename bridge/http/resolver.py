"""Resolve names with the system's resolver, so that a slow name delays only its own connections.

A name occupies at most one thread, however many requests wait for it, and answers are kept for a fixed
time. The system's resolver is used because it follows nsswitch, ``/etc/hosts`` and search domains.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from bridge.http.lookup_threads import LookupThreads

FRESH_S = 5.0  # an answer is used this long without another lookup; getaddrinfo does not return its TTL
STALE_S = 300.0  # and this long while lookups are slow or fail
FAILED_S = 1.0  # a failure is returned this long without another lookup
SLOW_S = 1.0  # a lookup that takes longer is slow
MAX_NAMES = 4096
MAX_THREADS = 32
MAX_THREADS_FOR_SLOW = 24  # a name whose last lookup was slow does not get the last eight threads
IDLE_S = 10.0

_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})

Row = tuple[Any, ...]
"""A row as of ``getaddrinfo``: family, type, protocol, canonical name, socket address."""


class _Name:
    """What is known of one name. At most one lookup of it is running or queued."""

    __slots__ = ("answered_at", "asked_at", "failed_at", "failure", "host", "rows", "slow", "waiters")

    def __init__(self, host: str) -> None:
        self.host = host
        self.rows: Sequence[Row] = ()
        self.answered_at = 0.0
        self.failure: Exception | None = None
        self.failed_at = 0.0
        self.asked_at: float | None = None  # set while a lookup is running or queued
        self.slow = False  # the last lookup was
        self.waiters: set[asyncio.Future[None]] = set()

    def is_current(self, now: float) -> bool:
        """Return True if the last result is used without another lookup."""
        if self.failure is not None:
            return now - self.failed_at < FAILED_S
        return bool(self.rows) and now - self.answered_at < FRESH_S

    def has_answer(self, now: float) -> bool:
        """Return True if the last answer may be used when there is no newer one."""
        return bool(self.rows) and now - self.answered_at < STALE_S

    def result(self, now: float) -> Sequence[Row]:
        """Return the answer. Raises a copy of the failure, because a raised exception keeps its frames."""
        if self.failure is not None and not self.has_answer(now):
            raise type(self.failure)(*self.failure.args)
        return self.rows


class NameResolver:
    """Looks up names in a few threads, and keeps the answers.

    Callers bound their wait with ``asyncio.timeout``. A lookup goes on after all callers left, and
    the next caller uses its answer. Addresses in text form are returned without a lookup. Answers are
    not checked here: the egress policy checks them on every dial. Use one instance in one event loop.
    """

    def __init__(
        self,
        getaddrinfo: Callable[..., Sequence[Row]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``getaddrinfo`` is called in a thread as ``getaddrinfo(host, None, type=SOCK_STREAM)``."""
        self._getaddrinfo = getaddrinfo or socket.getaddrinfo
        self._clock = clock
        self._names: dict[str, _Name] = {}  # the one used last comes last
        self._threads = LookupThreads(IDLE_S)
        self._running = 0
        self._queue: deque[_Name] = deque()
        self._slow_queue: deque[_Name] = deque()

    def __len__(self) -> int:
        return len(self._names)

    async def lookup(self, host: str, port: int) -> list[Row]:
        """Return the addresses of ``host`` for TCP as rows of ``getaddrinfo``.

        Raises ``OSError`` and ``UnicodeError``.
        """
        rows = await self._rows(host)
        return [(*row[:4], (row[4][0], port, *row[4][2:])) for row in rows]

    async def _rows(self, host: str) -> Sequence[Row]:
        name = self._names.pop(host, None)
        if name is None:
            if rows := _numeric(host):
                return rows
            self._make_room()
            name = _Name(host)
        self._names[host] = name
        now = self._clock()
        if name.is_current(now):
            return name.result(now)
        if name.asked_at is None:
            self._enqueue(name, now)
        if name.asked_at is not None:
            await self._wait(name, now)
        return name.result(self._clock())

    async def _wait(self, name: _Name, now: float) -> None:
        """Wait for the end of the lookup. An old answer is used once the lookup has taken ``SLOW_S``."""
        if not name.has_answer(now):
            await self._until_finished(name)
            return
        assert name.asked_at is not None
        left_s = name.asked_at + SLOW_S - now
        if left_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._until_finished(name)

    async def _until_finished(self, name: _Name) -> None:
        waiter = asyncio.get_running_loop().create_future()
        name.waiters.add(waiter)
        try:
            await waiter
        finally:
            name.waiters.discard(waiter)

    def _make_room(self) -> None:
        """Drop the name that was unused longest. Raises ``gaierror`` if lookups of all names are running."""
        if len(self._names) < MAX_NAMES:
            return
        for host, name in self._names.items():
            if name.asked_at is None:
                del self._names[host]
                return
        raise socket.gaierror(
            socket.EAI_AGAIN, f"{len(self._names)} other names wait for an answer of the DNS server"
        )

    def _enqueue(self, name: _Name, now: float) -> None:
        name.asked_at = now
        (self._slow_queue if name.slow else self._queue).append(name)
        self._start_queued()

    def _start_queued(self) -> None:
        while self._queue and self._running < MAX_THREADS:
            self._start(self._queue.popleft())
        while self._slow_queue and self._running < MAX_THREADS_FOR_SLOW:
            self._start(self._slow_queue.popleft())

    def _start(self, name: _Name) -> None:
        loop = asyncio.get_running_loop()

        def job() -> None:
            began_at = time.monotonic()
            outcome: Sequence[Row] | Exception
            try:
                outcome = self._getaddrinfo(name.host, None, type=socket.SOCK_STREAM)
            except Exception as exc:  # raised again in the tasks that wait
                outcome = exc.with_traceback(None)
            slow = time.monotonic() - began_at > SLOW_S
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._finish, name, outcome, slow)

        self._running += 1
        try:
            self._threads.submit(job)
        except RuntimeError as exc:
            failure = OSError(f"{exc}, the limit of processes of this machine or container is reached")
            loop.call_soon(self._finish, name, failure, name.slow)

    def _finish(self, name: _Name, outcome: Sequence[Row] | Exception, slow: bool) -> None:
        self._running -= 1
        name.asked_at = None
        name.slow = slow
        if isinstance(outcome, Exception):
            name.failure, name.failed_at = outcome, self._clock()
            if isinstance(outcome, socket.gaierror) and outcome.errno in _NO_SUCH_NAME:
                name.rows = ()
        else:
            name.rows, name.answered_at, name.failure = outcome, self._clock(), None
        for waiter in name.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._start_queued()


def _numeric(host: str) -> Sequence[Row]:
    """Return the rows of an address in any notation (``127.1``), or nothing for a name. It never blocks."""
    try:
        return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return ()
