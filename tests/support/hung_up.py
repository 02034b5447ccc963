"""Whether the other side of a connection has gone, for receivers that must know it before their loop does."""

from __future__ import annotations

import asyncio
import os
import socket


def has_hung_up(transport: asyncio.BaseTransport) -> bool:
    """Whether the client has hung up already, although the loop has not told us yet."""
    try:
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as sock:
            return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
