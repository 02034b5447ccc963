"""The receiver of the harness, a process: misbehaves per path as configured, and records every request.

Controlled by ``POST /_control`` with ``{path: behavior}``: ``delay_ms`` before any answer, and ``modes``.
One mode is drawn per request by its ``share``: ``hang``, ``reset`` (RST, no answer), ``half`` (closed within
the header of the answer), ``cut`` (closed within its body), ``status`` with an optional ``retry_after_s``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import socket
import struct
import time
from pathlib import Path
from typing import Any

import httptools
import orjson
import uvloop

from tests.faults.facts import NO_ENTITY, FactWriter, entity_number, id_hash
from tests.support.hung_up import has_hung_up

_LONG_NS = 500_000_000
"""Before a request of this age is answered, check whether its client is still connected."""
_GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Behavior:
    """The behavior of one path."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.delay_s = document.get("delay_ms", 0) / 1000
        self._modes: list[dict[str, Any]] = document.get("modes", [])

    def draw(self) -> dict[str, Any] | None:
        """Draw the mode of this request; None for 200."""
        for mode in self._modes:
            if random.random() < mode.get("share", 1):
                return mode
        return None


class State:
    """State shared by the connections. The number of a path is its index in ``paths``."""

    def __init__(self, paths: list[str], facts: FactWriter, behaviors: dict[str, Any]) -> None:
        self.numbers = {path.encode(): number for number, path in enumerate(paths)}
        self.facts = facts
        self.busy: dict[tuple[int, int], Connection] = {}
        self.told(behaviors)

    def told(self, behaviors: dict[str, Any]) -> None:
        """Set the behavior of the paths."""
        made = {path.encode(): Behavior(document) for path, document in behaviors.items()}
        self.behaviors = [made.get(path) or Behavior({}) for path in self.numbers]


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.loop = asyncio.get_running_loop()
        self.parser = httptools.HttpRequestParser(self)
        self.number: int | None = None
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended(0)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_message_begin(self) -> None:
        self.run = 0
        self.id_hash = 0
        self.body = b""

    def on_url(self, url: bytes) -> None:
        self.target = url

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"webhook-id":
            self.id_hash = id_hash(value)
        elif lower == b"x-run":
            self.run = int(value)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        state = self.state
        path = state.numbers.get(self.target)
        if path is None:
            if self.target == b"/_control":
                state.told(orjson.loads(self.body))
            self.transport.write(_GOOD)
            return
        self.came_ns = time.time_ns()
        entity, seq = self._about()
        self.lane = (path, entity)
        other = state.busy.get(self.lane)
        if other is not None and has_hung_up(other.transport):
            other.ended(0, self.came_ns)
        state.busy[self.lane] = self
        self.number = state.facts.came(self.came_ns, path, self.run, entity, seq, self.id_hash)
        behavior = state.behaviors[path]
        if behavior.delay_s:
            self.timer = self.loop.call_later(behavior.delay_s, self._answer, behavior.draw())
        else:
            self._answer(behavior.draw())

    def _about(self) -> tuple[int, int]:
        try:
            data = orjson.loads(self.body)["data"]
            return entity_number(data["entity"]), data["seq"]
        except (ValueError, KeyError, TypeError):
            return NO_ENTITY, 0

    def _answer(self, mode: dict[str, Any] | None) -> None:
        self.timer = None
        if self.number is None:
            return
        if time.time_ns() - self.came_ns > _LONG_NS and has_hung_up(self.transport):
            self.ended(0)
            return
        match mode and mode["kind"]:
            case None:
                self.ended(200)
                self.transport.write(_GOOD)
            case "status":
                self.ended(mode["status"])
                extra = f"Retry-After: {mode['retry_after_s']}\r\n" if "retry_after_s" in mode else ""
                self.transport.write(
                    f"HTTP/1.1 {mode['status']} x\r\n{extra}Content-Length: 0\r\n\r\n".encode()
                )
            case "hang":
                return
            case "reset":
                self.ended(0)
                linger = struct.pack("ii", 1, 0)
                self.transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
                self.transport.abort()
            case kind:
                self.ended(0)
                self.transport.write(_GOOD[: 12 if kind == "half" else -1])
                self.transport.close()

    def ended(self, status: int, at_ns: int | None = None) -> None:
        """Record the end of the request in flight, if any; now, unless another instant is given."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.number is None:
            return
        self.state.facts.ended(at_ns or time.time_ns(), self.number, status)
        self.number = None
        if self.state.busy.get(self.lane) is self:
            del self.state.busy[self.lane]


def main() -> None:
    """Serve until standard input closes, which also happens if the harness is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--facts", type=Path, required=True)
    parser.add_argument("--paths", nargs="+", required=True)
    parser.add_argument("--behaviors", default="{}")
    chosen = parser.parse_args()
    state = State(chosen.paths, FactWriter(chosen.facts), orjson.loads(chosen.behaviors))

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        gc.freeze()
        await loop.create_server(lambda: Connection(state), "127.0.0.1", chosen.port, backlog=2048)
        print("ready", flush=True)
        await loop.run_in_executor(None, os.read, 0, 1)

    uvloop.run(serve())


if __name__ == "__main__":
    main()
