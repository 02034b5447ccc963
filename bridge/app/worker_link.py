"""A worker's end of the socket to its supervisor, which replaces the admin port of a worker.

Invariant: when the supervisor ends, however it ends, the kernel closes its end, and the worker stops in
order.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from bridge.app.frames import encode_frame, read_frame
from bridge.telemetry import events

_log = structlog.get_logger()
Answers = Mapping[str, Callable[[], object]]


class WorkerPlace(NamedTuple):
    """Which worker this process is, and the descriptor of its socket to the supervisor."""

    number: int
    descriptor: int

    def __str__(self) -> str:
        return f"{self.number}:{self.descriptor}"


def parse_place(text: str) -> WorkerPlace:
    """Return the place that ``str`` wrote. Raises ``ValueError``."""
    number, descriptor = map(int, text.split(":"))
    return WorkerPlace(number, descriptor)


class WorkerLink:
    """Answers the questions of the supervisor until one of the two ends."""

    def __init__(self, place: WorkerPlace) -> None:
        self._place = place
        self._serving: asyncio.Task[None] | None = None

    async def open(self, answers: Answers, on_lost: Callable[[], None]) -> None:
        """Begin to answer.

        ``answers``: what each question calls. ``on_lost`` is called when the supervisor has ended.
        """
        end = socket.socket(fileno=self._place.descriptor)
        reader, writer = await asyncio.open_connection(sock=end)
        self._serving = asyncio.create_task(self._serve(reader, writer, answers, on_lost), name="supervisor")

    async def close(self) -> None:
        """Stop to answer."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait({self._serving})

    async def _serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: Answers,
        on_lost: Callable[[], None],
    ) -> None:
        try:
            while True:
                number, question = await read_frame(reader)
                writer.write(encode_frame([number, answers[question]()]))
                await writer.drain()
        except (EOFError, OSError):
            _log.error(
                events.SUPERVISOR_LOST,
                cause="the supervisor of the workers has ended",
                remedy="none needed for this worker, which stops in order; start `hookferry run` again",
            )
            on_lost()
        finally:
            writer.close()
