"""The receiver as a server: asyncio ``Protocol``, httptools, uvloop, so that it is never the bottleneck.

``POST /_control`` sets the behavior of a path (see ``Behavior``). ``/_report``, ``/_records?path=`` and
``/_count?path=`` return what arrived; ``POST /_reset`` deletes everything.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httptools
import orjson
import uvloop

from tests.support.hung_up import has_hung_up
from tests.support.receiver_log import Arrival, PathLog

REASONS = {200: b"OK", 201: b"Created", 202: b"Accepted", 204: b"No Content"}


class Behavior:
    """The behavior of a path. All names are optional keys of the control document.

    ``delay_ms`` before the answer; ``status``, ``body``, ``headers`` of the answer. ``fail_first`` limits
    ``status``, ``hang`` and ``reset`` to the first requests (of the path, or of each webhook-id with
    ``"scope": "id"``), and later requests get 200. ``every`` limits them to each n-th request of the path.
    ``entities`` limits them to these entities. ``hang`` never answers; ``reset`` closes the connection with
    RST; ``half`` closes it in the middle of the answer; ``close`` closes it after the answer.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.delay_s = document.pop("delay_ms", 0) / 1000
        self.fail_first: int | None = document.pop("fail_first", None)
        self.status: int = document.pop("status", 200 if self.fail_first is None else 500)
        self.every: int = document.pop("every", 0)
        self.by_id = document.pop("scope", "path") == "id"
        self.entities = frozenset(document.pop("entities", ()))
        self.hang: bool = document.pop("hang", False)
        self.reset: bool = document.pop("reset", False)
        self.half: bool = document.pop("half", False)
        self.close: bool = document.pop("close", False)
        self.headers: dict[str, str] = document.pop("headers", {})
        self.body = document.pop("body", "").encode()
        if document:
            raise ValueError(f"unknown behavior: {', '.join(document)}")
        self.counts: Counter[str | None] = Counter()
        self.bad = self._answer(self.status)
        self.good = self._answer(200)

    def _answer(self, status: int) -> bytes:
        lines = [b"HTTP/1.1 %d %s" % (status, REASONS.get(status, b"Status"))]
        if status != 204:
            lines.append(b"Content-Length: %d" % len(self.body))
        lines += [f"{name}: {value}".encode() for name, value in self.headers.items()]
        if self.close:
            lines.append(b"Connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n" + (self.body if status != 204 else b"")

    def applies(self, arrival: Arrival) -> bool:
        """Return True if this request gets the configured behavior instead of a plain 200."""
        if self.entities and arrival.entity not in self.entities:
            return False
        if self.every:
            self.counts[None] += 1
            return self.counts[None] % self.every == 0
        if self.fail_first is None:
            return True
        key = arrival.webhook_id if self.by_id else None
        self.counts[key] += 1
        return self.counts[key] <= self.fail_first


def getter(path: str) -> Callable[[Any], Any]:
    """Return the value at a dotted path of a decoded document; None if it is missing."""
    names = path.split(".")

    def get(document: Any) -> Any:
        for name in names:
            if not isinstance(document, dict):
                return None
            document = document.get(name)
        return document

    return get


class State:
    """The state shared by all connections."""

    def __init__(self, entity: str, seq: str, produced: str, record_bound: int) -> None:
        self.entity, self.seq, self.produced = getter(entity), getter(seq), getter(produced)
        self.record_bound = record_bound
        self.behaviors: dict[str, Behavior] = {}
        self.default = Behavior({})
        self.forget()

    def forget(self) -> None:
        self.logs: dict[str, PathLog] = {}
        self.busy: dict[tuple[str, str], Connection] = {}
        self.connections = getattr(self, "connections", 0)
        self.opened = 0
        self.pipelined = 0

    def log(self, path: str) -> PathLog:
        log = self.logs.get(path)
        if log is None:
            log = self.logs[path] = PathLog(self.record_bound)
        return log


class Connection(asyncio.Protocol):
    """One client connection: parses requests, records them, and answers after the delay."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.loop = asyncio.get_running_loop()
        self.parser = httptools.HttpRequestParser(self)
        self.timer: asyncio.TimerHandle | None = None
        self.current: tuple[str, PathLog, Arrival, list[int] | None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.state.connections += 1
        self.state.opened += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.state.connections -= 1
        if self.timer:
            self.timer.cancel()
        self._ended(None)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_message_begin(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.webhook_id: str | None = None

    def on_url(self, url: bytes) -> None:
        self.target = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))
        if len(name) == 10 and name.lower() == b"webhook-id":
            self.webhook_id = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body = self.body + body if self.body else body

    def on_message_complete(self) -> None:
        path = self.target.decode("latin-1")
        if path.startswith("/_"):
            self._administer(path)
            return
        if self.current is not None:
            self.state.pipelined += 1
        arrival = self._read()
        log = self.state.log(path)
        self.current = (path, log, arrival, log.arrived(arrival))
        if arrival.entity is not None:
            lane = (path, arrival.entity)
            other = self.state.busy.get(lane)
            if other is not None and other.current is not None and not has_hung_up(other.transport):
                log.overlapped(arrival, other.current[2])
            self.state.busy[lane] = self
        behavior = self.state.behaviors.get(path, self.state.default)
        if behavior.delay_s:
            self.timer = self.loop.call_later(behavior.delay_s, self._answer, behavior)
        else:
            self._answer(behavior)

    def _read(self) -> Arrival:
        now_ns = time.time_ns()
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            document = None
        state = self.state
        return Arrival(
            now_ns, self.webhook_id, state.entity(document), state.seq(document), state.produced(document),
            self.headers, self.body, self.parser.get_method().decode(),
        )  # fmt: skip

    def _answer(self, behavior: Behavior) -> None:
        if self.current is None:
            return
        if not behavior.applies(self.current[2]):
            status, answer = 200, behavior.good
        elif behavior.hang:
            return
        elif behavior.reset or behavior.half:
            if behavior.half:
                self.transport.write(behavior.good[:12])
                self.transport.close()
            else:
                # linger 0: the peer gets RST, as from a crashed process
                sock = self.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.transport.abort()
            self._ended(None)
            return
        else:
            status, answer = behavior.status, behavior.bad
        self._ended(status)
        self.transport.write(answer)
        if behavior.close:
            self.transport.close()

    def _ended(self, status: int | None) -> None:
        if self.current is None:
            return
        path, log, arrival, place = self.current
        self.current = None
        log.ended(arrival, status)
        if place is not None and status:
            place.append(status)
        if arrival.entity is not None and self.state.busy.get((path, arrival.entity)) is self:
            del self.state.busy[path, arrival.entity]

    def _administer(self, target: str) -> None:
        parts = urlsplit(target)
        path = parse_qs(parts.query).get("path", [""])[0]
        state = self.state
        status, answer = 200, {}
        match parts.path:
            case "/_control":
                try:
                    document = orjson.loads(self.body)
                    named = document.pop("path")
                    state.behaviors[named] = Behavior(document)
                except (ValueError, KeyError) as problem:
                    status, answer = 400, {"problem": str(problem)}
            case "/_report":
                answer = {
                    "paths": {name: log.report() for name, log in state.logs.items()},
                    "connections": state.connections - 1,  # without the one of this query
                    "pipelined": state.pipelined,
                }
            case "/_count":
                log = state.log(path)
                answer = {
                    "distinct": len(log.accepted_at),
                    "accepted": log.accepted,
                    "requests": log.requests,
                }
            case "/_records":
                answer = {"records": [_shown(*entry) for entry in state.log(path).records]}
            case "/_reset":
                state.behaviors.clear()
                state.forget()
            case _:
                status, answer = 404, {"problem": "no such command"}
        body = orjson.dumps(answer)
        self.transport.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)


def _shown(arrival: Arrival, status: list[int]) -> dict[str, Any]:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in arrival.headers}
    return {
        "arrived_ns": arrival.arrived_ns,
        "webhook_id": arrival.webhook_id,
        "entity": arrival.entity,
        "seq": arrival.seq,
        "status": status[0] if status else None,
        "headers": headers,
        "body": arrival.body.decode("utf-8", "replace"),
        "method": arrival.method,
    }


def serve(port: int, state: State) -> None:
    """Print the port, then serve until the process ends or its standard input closes."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        gc.freeze()
        server = await loop.create_server(lambda: Connection(state), "127.0.0.1", port, backlog=2048)
        print(server.sockets[0].getsockname()[1], flush=True)
        # the parent holds the other end: if it dies for any reason, this process ends too
        await loop.run_in_executor(None, os.read, 0, 1)
        server.close()

    uvloop.run(main())
