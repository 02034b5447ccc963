"""Detect that the peer of a connection closed it, before the event loop reports it to a receiver."""

from __future__ import annotations

import asyncio
import os
import socket


def has_hung_up(transport: asyncio.BaseTransport) -> bool:
    """Return True if the client has closed the connection, even if the loop has not reported it yet."""
    try:
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as sock:
            return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
