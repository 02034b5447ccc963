"""A process that imports the bridge once and forks for each request of ``tests.support.forked``.

Invariant: it has one thread and no event loop, so that a fork finds nothing in the middle of its work.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import bridge

REQUEST_BYTES = 1 << 17
NOT_IMPORTED = ("bridge.__main__", "bridge.demo")
"""What runs when it is imported, and what only one command uses."""


def import_everything() -> None:
    """Import what the commands import when they run."""
    for module in pkgutil.walk_packages(bridge.__path__, "bridge."):
        if not module.name.startswith(NOT_IMPORTED):
            # an extra may not be installed: the command that needs it reports it
            with suppress(ImportError):
                importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # no collection of a child copies the pages of these objects


def serve(requests: socket.socket) -> None:
    """Fork for each request, until the tests have ended."""
    while True:
        message, streams, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 3)
        if not message:
            return
        read, write = os.pipe()
        between = os.fork()
        if not between:
            pid = os.fork()
            if pid:
                os.write(write, b"%d" % pid)
                os._exit(0)
            for number in (requests.detach(), read, write):
                os.close(number)
            become(json.loads(message), streams)
        os.close(write)  # so that the read ends, with nothing, if the second fork has failed
        os.waitpid(between, 0)
        requests.send(os.read(read, 100))
        for number in (read, *streams):
            os.close(number)


def become(request: dict[str, Any], streams: Sequence[int]) -> None:
    """Turn this fork into ``python -m bridge …``, and exit."""
    for own, given in enumerate(streams):
        os.dup2(given, own)
        os.close(given)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        before = getattr(sys, name)
        stream = open(number, mode, encoding=before.encoding, errors=before.errors, closefd=False)  # noqa: SIM115
        stream.reconfigure(line_buffering=number == 2 or stream.isatty())
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.orig_argv = [sys.executable, "-m", "bridge", *request["arguments"]]
    sys.argv = ["bridge", *request["arguments"]]
    runpy.run_module("bridge", run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    # Ctrl-C goes to the whole group; the end of the tests ends this
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import_everything()
    serve(socket.socket(fileno=int(sys.argv[1])))
