"""The supervisor's end of the socket to one worker: a question, and its answer within a time."""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Any

from bridge.app.frames import encode_frame, read_frame
from bridge.app.worker_status import Question


class QuestionSocket:
    """Sends questions to one worker process, and closes with it.

    A worker that does not answer is not an error.
    """

    def __init__(self) -> None:
        self._own, self.other = socket.socketpair()
        """``other`` is the worker's end: close it here once the worker has it."""
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to read answers."""
        reader, self._writer = await asyncio.open_connection(sock=self._own)
        self._reading = asyncio.create_task(self._read(reader), name="answers of a worker")

    async def ask(self, question: Question, timeout_s: float) -> Any:
        """Return the answer; None if none came in time, or the worker has ended."""
        if self._writer is None or self._reading is None or self._reading.done():
            return None
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(encode_frame([number, question]))
            async with asyncio.timeout(timeout_s):
                return await answer
        except (TimeoutError, OSError):
            return None
        finally:
            self._waiting.pop(number, None)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                number, document = await read_frame(reader)
                if number in self._waiting and not self._waiting[number].done():
                    self._waiting[number].set_result(document)
        except (EOFError, OSError):
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_result(None)

    async def close(self) -> None:
        """Close this end; a worker that still runs stops in order then."""
        if self._writer is not None and self._reading is not None:
            self._writer.close()
            self._reading.cancel()
            await asyncio.wait({self._reading})
        else:
            self._own.close()
