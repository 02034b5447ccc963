"""Copy what the workers write to the output of the supervisor, whole lines at a time.

Invariant: a line is written at once, so lines of several workers never mix, however long they are. A line
that a killed worker had begun ends with a line break.
"""

from __future__ import annotations

import os
import threading
from typing import BinaryIO

from bridge.telemetry.logs import LossyStream

_CHUNK = 1 << 16


class LineCopier:
    """A pipe whose other end a worker writes to, and the thread that reads it.

    It is a thread, so that an output that accepts nothing stops the worker, as it would stop a single
    process, and not the supervisor.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = LossyStream(out)
        self._read_end, self.descriptor = os.pipe()
        """The descriptor is for the worker. Call ``start`` when it has it."""
        self._thread = threading.Thread(target=self._copy, daemon=True, name="lines of a worker")

    def start(self) -> None:
        """Begin to copy, until every process that has the descriptor has closed it."""
        os.close(self.descriptor)
        self._thread.start()

    def discard(self) -> None:
        """Close the pipe, because no worker got it."""
        os.close(self.descriptor)
        os.close(self._read_end)

    def join(self, timeout_s: float) -> None:
        """Wait until everything is copied."""
        self._thread.join(timeout_s)

    def _copy(self) -> None:
        rest = b""
        while chunk := os.read(self._read_end, _CHUNK):
            lines, end, rest_of_chunk = chunk.rpartition(b"\n")
            if end:
                self._out.write(rest + lines + end)
                rest = rest_of_chunk
            else:
                rest += chunk
        if rest:
            self._out.write(rest + b"\n")
        os.close(self._read_end)
