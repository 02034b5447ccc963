"""A real HTTP receiver in a process of its own, and the client that starts, steers and asks it.

By hand: ``python -m tests.support.receiver --port 8900``. What it can do and what its words mean
stands in ``receiver_server`` and ``receiver_log``.
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
    """A receiver process; as a context manager it is started and stopped.

    ``entity``, ``seq`` and ``produced`` are dotted paths in the request's JSON body;
    ``record_bound`` is how many requests per path ``records`` can show.
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
        """Start the process; after a ``stop`` it comes back on the same port with nothing remembered."""
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
        """End the process at once: its connections are cut and its port refuses."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        self.process = None

    def url(self, path: str = "/") -> str:
        """The URL that a bridge's endpoint is configured with."""
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

    def control(self, path: str, **behaviour: object) -> None:
        """From now on ``path`` answers so (see ``receiver_server.Behaviour``); nothing means 200 at once."""
        self._ask("POST", "/_control", {"path": path, **behaviour})

    def report(self, path: str | None = None) -> Any:
        """What was seen, of all paths or of one (an empty report when nothing came there)."""
        if path is None:
            return self._ask("GET", "/_report")
        self.count(path)
        return self._ask("GET", "/_report")["paths"][path]

    def count(self, path: str) -> dict[str, int]:
        """``distinct``, ``accepted`` and ``requests`` of a path: cheap enough to be polled."""
        return self._ask("GET", f"/_count?path={quote(path)}")  # type: ignore[no-any-return]

    def records(self, path: str) -> list[dict[str, Any]]:
        """The first requests of a path, whole: headers, body, times and the status answered."""
        return self._ask("GET", f"/_records?path={quote(path)}")["records"]  # type: ignore[no-any-return]

    def reset(self) -> None:
        """Forget every request and every behaviour."""
        self._ask("POST", "/_reset")

    def wait_for(self, path: str, timeout_s: float = 30, **at_least: int) -> dict[str, int]:
        """Return the counts once each named one is reached: ``wait_for("/a", accepted=100)``.

        Raises ``TimeoutError`` with the counts as they are.
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
    """Serve in this process, with the settings from the command line."""
    from tests.support.receiver_server import State, serve

    parser = argparse.ArgumentParser(description="a programmable webhook receiver on loopback")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; it is printed")
    parser.add_argument("--entity", default="data.entity")
    parser.add_argument("--seq", default="data.seq")
    parser.add_argument("--produced", default="data.produced_ns")
    parser.add_argument("--record-bound", type=int, default=5_000)
    chosen = parser.parse_args()
    serve(chosen.port, State(chosen.entity, chosen.seq, chosen.produced, chosen.record_bound))


if __name__ == "__main__":
    main()
