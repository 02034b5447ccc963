"""A receiver over HTTP for one event or several per request, in a thread of the test.

It verifies the signature over the bytes as they arrive, then unpacks them, takes the events in order, and
answers as a careful receiver: of an entity, nothing after an event that failed.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import cramjam
import orjson

from tests.support.batch_receiver import read_events

Fails = Callable[[dict[str, Any]], bool]


class BatchSink:
    """``accepted`` has entity and ``seq`` of the events, in the order of their first acceptance.

    ``fails`` returns True for an event that is to be named as failed. ``refuses``: one for which the whole
    request is refused.
    """

    def __init__(
        self,
        secret: str | None = None,
        *,
        delay_s: float = 0.0,
        fails: Fails = lambda event: False,
        refuses: Fails = lambda event: False,
    ) -> None:
        self.accepted: list[tuple[str, int]] = []
        self.requests = self.events = self.repeats = 0
        self.codings: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._key = b"" if secret is None else base64.b64decode(secret.removeprefix("whsec_"))
        self._delay_s = delay_s
        self._fails = fails
        self._refuses = refuses
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = ""

    def __enter__(self) -> BatchSink:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 24), self._loop
        ).result(30)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/hooks"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # the connections are closed in the next turn

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = (line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:] if line)
                headers = {name.lower(): value for name, _, value in lines}
                body = await reader.readexactly(int(headers["content-length"]))
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                status, answer = self._take(headers, body)
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(answer), answer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the bridge was killed, or has closed the connection
        finally:
            writer.close()

    def _take(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        if self._key and not self._is_signed(headers, body):
            return 401, b"wrong signature"
        coding = headers.get("content-encoding", "")
        self.codings[coding] += 1
        if coding:
            body = zlib.decompress(body, 31) if coding == "gzip" else bytes(cramjam.zstd.decompress(body))
        self.requests += 1
        if body.startswith(b'{"type"'):  # one event per request
            events = [{"webhook_id": headers["webhook-id"], **orjson.loads(body)}]
        else:
            events = read_events(body)
        if any(map(self._refuses, events)):
            return 422, b"one is wrong"
        stopped: set[str] = set()
        failed: list[int | str] = []
        for place, event in enumerate(events):
            if self._fails(event):
                failed.append(place if place % 2 else event["webhook_id"])
                stopped.add(event["entity"])
            elif event["entity"] not in stopped:
                self._accept(event)
        return 200, orjson.dumps({"failed": failed}) if failed else b"ok"

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Verify as Standard Webhooks 1.0.0 says. Their Python library verifies only bodies in UTF-8."""
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.digest(self._key, signed, "sha256")
        return headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"

    def _accept(self, event: dict[str, Any]) -> None:
        self.events += 1
        if event["webhook_id"] in self._seen:
            self.repeats += 1
            return
        self._seen.add(event["webhook_id"])
        self.accepted.append((event["entity"], event["data"]["seq"]))

    def misordered(self) -> list[tuple[str, int]]:
        """Return the events that were accepted for the first time after a later one of their entity."""
        last: dict[str, int] = {}
        found = []
        for entity, seq in self.accepted:
            if seq < last.get(entity, -1):
                found.append((entity, seq))
            last[entity] = max(seq, last.get(entity, -1))
        return found
