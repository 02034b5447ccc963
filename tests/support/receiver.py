"""A real HTTP receiver in a separate process, and the client that starts, configures and queries it.

To run it manually: ``python -m tests.support.receiver --port 8900``. ``receiver_server`` describes its
behaviors, ``receiver_log`` the terms of its report.
"""

from __future__ import annotations

import argparse
import http.client
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from tests.support.ports import free_port

ROOT = Path(__file__).parent.parent.parent


class Receiver:
    """A receiver process; the context manager starts and stops it.

    ``entity``, ``seq`` and ``produced`` are dotted paths in the request's JSON body;
    ``record_bound`` is the number of requests per path that ``records`` can return.
    """

    def __init__(
        self,
        *,
        entity: str = "data.entity",
        seq: str = "data.seq",
        produced: str = "data.produced_ns",
        record_bound: int = 5_000,
        port: int = 0,
    ) -> None:
        self._arguments = [
            f"--entity={entity}", f"--seq={seq}", f"--produced={produced}",
            f"--record-bound={record_bound}",
        ]  # fmt: skip
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Receiver:
        """Start the process; after ``stop``, on the same port and without the earlier requests."""
        self.port = self.port or free_port()
        command = [sys.executable, "-m", "tests.support.receiver", f"--port={self.port}", *self._arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the receiver did not start: exit code {self.process.wait()}")
        self.port = int(line)
        return self

    def stop(self) -> None:
        """Kill the process: its connections close and its port refuses."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        self.process = None

    def url(self, path: str = "/") -> str:
        """Return the URL of a path, for the configuration of an endpoint."""
        return f"http://127.0.0.1:{self.port}{path}"

    def _ask(self, method: str, target: str, document: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, target, orjson.dumps(document))
            response = connection.getresponse()
            answer = orjson.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(answer["problem"])
        return answer

    def control(self, path: str, **behavior: object) -> None:
        """Set the behavior of ``path`` (see ``receiver_server.Behavior``); by default 200 immediately."""
        self._ask("POST", "/_control", {"path": path, **behavior})

    def report(self, path: str | None = None) -> Any:
        """Return the report of all paths or of one; it is empty if there were no requests."""
        if path is None:
            return self._ask("GET", "/_report")
        self.count(path)
        return self._ask("GET", "/_report")["paths"][path]

    def count(self, path: str) -> dict[str, int]:
        """Return ``distinct``, ``accepted`` and ``requests`` of a path; cheap enough to poll."""
        return self._ask("GET", f"/_count?path={quote(path)}")  # type: ignore[no-any-return]

    def records(self, path: str) -> list[dict[str, Any]]:
        """Return the first requests of a path: headers, body, times, and the status of the answer."""
        return self._ask("GET", f"/_records?path={quote(path)}")["records"]  # type: ignore[no-any-return]

    def reset(self) -> None:
        """Delete all requests and behaviors."""
        self._ask("POST", "/_reset")

    def wait_for(self, path: str, timeout_s: float = 180, **at_least: int) -> dict[str, int]:
        """Return the counts once each named one is reached: ``wait_for("/a", accepted=100)``.

        Raises ``TimeoutError`` with the current counts.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            counts = self.count(path)
            if all(counts[name] >= wanted for name, wanted in at_least.items()):
                return counts
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path}: wanted {at_least} in {timeout_s} s, have {counts}")
            time.sleep(0.02)

    def __enter__(self) -> Receiver:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def main() -> None:
    """Serve in this process, with the options of the command line."""
    from tests.support.receiver_server import State, serve

    parser = argparse.ArgumentParser(description="a programmable webhook receiver on loopback")
    parser.add_argument("--port", type=int, default=0, help="0 selects a free one; it is printed")
    parser.add_argument("--entity", default="data.entity")
    parser.add_argument("--seq", default="data.seq")
    parser.add_argument("--produced", default="data.produced_ns")
    parser.add_argument("--record-bound", type=int, default=5_000)
    chosen = parser.parse_args()
    serve(chosen.port, State(chosen.entity, chosen.seq, chosen.produced, chosen.record_bound))


if __name__ == "__main__":
    main()
