"""Ports for servers that a test starts, stops and restarts at the same address."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

RANGE = 12_000
_given: set[int] = set()


class NoFreePort(Exception):
    """All ports that were tried are in use."""


def free_port() -> int:
    """Return an unused port below the range of ephemeral ports.

    The system may assign a port of that range to a client while the server is down. A client that reconnects
    can even get it as its own source port, and then connects to itself. Parallel test processes use separate
    parts of the range. No port is returned twice, because its server may only be down.
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
    """Return the number of this pytest-xdist worker (or of the parent worker), and the number of workers."""
    name = os.environ.get("PYTEST_XDIST_WORKER", "gw0")  # a dead worker is replaced by one with a new number
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return int(name.removeprefix("gw")) % count, count  # replacements are gw<count> and higher
