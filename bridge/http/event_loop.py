"""The event loop of ``hookferry run``: uvloop, with name lookups that cannot stop each other.

uvloop looks up names in libuv's pool of four threads, which are joined at exit. Four slow names stop every
lookup of the process, among them those of the Kafka client, and a stuck one keeps the process from ending.
Endpoints have a resolver of their own (``egress_policy``); this one serves Kafka, registries and proxies.
"""

from __future__ import annotations

import socket
import ssl
from ipaddress import ip_address
from typing import Any

import uvloop

from bridge.http.resolver import NameResolver


class EventLoop(uvloop.Loop):
    """uvloop that resolves the hosts of outgoing TCP connections with a ``NameResolver``.

    httpx calls ``getaddrinfo``, aiokafka calls ``create_connection`` with a name.
    """

    def __init__(self) -> None:
        super().__init__()
        self._names = NameResolver()

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        """See ``asyncio``. Only what is not about outgoing TCP goes to uvloop's own threads."""
        family, *other = (options.get(name, 0) for name in ("family", "proto", "flags"))
        if options.get("type") != socket.SOCK_STREAM or any(other) or not host or not isinstance(port, int):
            return await super().getaddrinfo(host, port, **options)
        rows = await self._names.lookup(host.decode("ascii") if isinstance(host, bytes) else host, port)
        rows = [row for row in rows if family in (0, row[0])]
        if not rows:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address of the family {family}")
        return rows

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        """See ``asyncio``. Try the addresses of ``host`` in the resolver's order, as uvloop does."""
        if not host or _is_address(host):
            return await super().create_connection(protocol_factory, host, port, **options)
        if options.get("ssl") and options.get("server_hostname") is None:
            options["server_hostname"] = host
        rows = await self.getaddrinfo(host, port, family=options.get("family", 0), type=socket.SOCK_STREAM)
        failures: list[OSError] = []
        for address in dict.fromkeys(row[4][0] for row in rows):
            try:
                return await super().create_connection(protocol_factory, address, port, **options)
            except ssl.SSLError:
                raise  # the address answered
            except OSError as exc:
                failures.append(exc)
        if len(failures) == 1:
            raise failures[0]
        raise OSError(f"cannot connect to {host}: " + ", ".join(str(exc) for exc in failures))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
