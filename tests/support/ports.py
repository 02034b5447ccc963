"""Ports for servers that a test starts, stops and starts again at the same address."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

RANGE = 12_000
_given: set[int] = set()


class NoFreePort(Exception):
    """All that were tried are taken."""


def free_port() -> int:
    """A port nobody listens on, below the range the system dials from.

    Within that range any client may be given the number while its server is away, and one that redials
    the server can even be given it as its own source port, and then talks to itself. Test processes that run
    side by side draw from parts of their own, and none is given twice: its server may only be away.
    """
    end = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    first = max(end - RANGE, 1_024)
    part, parts = _part()
    size = (end - first) // parts
    for _ in range(200):
        port = first + part * size + random.SystemRandom().randrange(size)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port
    raise NoFreePort(f"no free port among {size} below {end}")


def _part() -> tuple[int, int]:
    """Which of the worker processes of pytest-xdist this is, or is started by, and how many there are."""
    name = os.environ.get(
        "PYTEST_XDIST_WORKER", "gw0"
    )  # a worker that died is replaced by one of a new number
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return int(name.removeprefix("gw")) % count, count  # one that died is replaced by gw<count> and on
