"""Start ``python -m bridge …`` by a fork of a process that has imported it: the imports take 1.5 s of CPU.

The tests start hundreds of processes. Each has its own memory, signals, streams and exit code, like one that
was started alone. Two servers with different hash seeds take turns: two pods do not order a set alike.
Where the start itself is the claim, use ``subprocess``.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SEEDS = ("1", "2")
_PR_SET_CHILD_SUBREAPER = 36
_READ_AT_START = ("PYTHON", "LC_", "TZ")
"""The interpreter reads these variables when it starts: a fork would not see another value."""
_lock = threading.Lock()


class _Server:
    """A process that has imported the bridge and forks on request."""

    def __init__(self, seed: str) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", str(other.fileno())],
                cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip

    def fork(self, request: Mapping[str, object], streams: Sequence[int]) -> int:
        """Return the id of a new process, which is a child of this one."""
        # the child of a server that forks twice has no parent for a moment: it becomes ours, however soon
        _set_subreaper(True)
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], streams)
            pid = self._socket.recv(100)
        finally:
            _set_subreaper(False)
        assert pid, "the server has ended; its standard error shows why"
        return int(pid)

    def close(self) -> None:
        """End the server; the processes that it forked go on."""
        self._socket.close()
        self.process.wait()


_servers: list[_Server] = []
_turns = cycle(range(len(SEEDS)))


def _next_server() -> _Server:
    if not _servers:
        _servers.extend(map(_Server, SEEDS))
        atexit.register(_close)
    return _servers[next(_turns)]


def _close() -> None:
    for server in _servers:
        server.close()


def _set_subreaper(on: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) == 0, os.strerror(ctypes.get_errno())


class BridgeCommand(subprocess.Popen[Any]):
    """``hookferry`` with these arguments. The options are those of ``subprocess.Popen``, as far as used here.

    Like after ``Popen``, the process is a child of this one: it can be awaited, and it is killed by its id.
    """

    def __init__(
        self, arguments: Sequence[str], *, env: Mapping[str, str], text: bool = False, **streams: Any
    ) -> None:
        """``streams``: ``stdin``, ``stdout`` and ``stderr``."""
        words = [sys.executable, "-m", "bridge", *arguments]
        self._forks = _can_fork(env)
        super().__init__(words, cwd=ROOT, env=env, text=text, **streams)

    def _execute_child(self, *given: Any) -> None:
        # CPython has no public hook for how a process comes into being. The pipes are the arguments 10 to 15
        # from 3.7 to 3.14; the caller makes them and expects that this closes the ends of the child.
        if not self._forks:
            super()._execute_child(*given)  # type: ignore[misc]  # typeshed lists no private method
            return
        pipes = given[10:16]
        ends = (pipes[0], pipes[3], pipes[5])
        streams = [own if end < 0 else end for own, end in enumerate(ends)]
        request = {"arguments": given[0][3:], "env": dict(given[6])}
        with _lock:
            self.pid = _next_server().fork(request, streams)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]  # typeshed lists no private method


def _can_fork(env: Mapping[str, str]) -> bool:
    """Return False if the process needs a start of its own, for its environment or on another system."""
    given = {name: value for name, value in env.items() if name.startswith(_READ_AT_START)}
    return sys.platform == "linux" and given.items() <= os.environ.items()


def run_command(
    arguments: Sequence[str], *, env: Mapping[str, str], typed: str = "", timeout_s: float = 90
) -> subprocess.CompletedProcess[str]:
    """Run ``hookferry`` to its end. ``typed``: its input. Raises ``subprocess.TimeoutExpired``."""
    pipe = subprocess.PIPE
    with BridgeCommand(arguments, env=env, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            output, errors = process.communicate(typed, timeout_s)
        except BaseException:
            process.kill()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)
