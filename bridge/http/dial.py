"""Opens connections: resolve under the address policy, connect to a checked address, TLS.

HTTP edge. Takes an origin, gives a connected ``Connection``; foreign exceptions end here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from bridge.errors import TransportError, TransportFault
from bridge.http.connection import Connection
from bridge.http.egress_policy import Address, Egress
from bridge.model import Url


class Dialer:
    """Opens a connection to one of an origin's addresses, each of which the policy allows.

    The address is dialled as it was checked; the name is given to TLS only. Addresses are tried in
    the resolver's order, and each gets its part of the time that is left, so that a dead first one
    does not use it up.
    """

    def __init__(self, egress: Egress, tls: ssl.SSLContext | None, connect_timeout_s: float) -> None:
        self._egress = egress
        self._tls = tls
        self._connect_timeout_s = connect_timeout_s

    async def dial(self, url: Url, make: Callable[[], Connection]) -> Connection:
        """A connection to the origin of ``url``, made by ``make``.

        Raises ``TransportError``: ``connect``, ``tls`` or ``refused_address``.
        """
        loop = asyncio.get_running_loop()
        deadline_at = loop.time() + self._connect_timeout_s
        try:
            async with asyncio.timeout_at(deadline_at):
                addresses = await self._egress.resolve(url.host, url.port)
        except TimeoutError as exc:
            raise TransportError(
                TransportFault.CONNECT, f"the name {url.host} was not resolved in time"
            ) from exc
        failure: TransportError | None = None
        for index, address in enumerate(addresses):
            left_s = (deadline_at - loop.time()) / (len(addresses) - index)
            try:
                async with asyncio.timeout(left_s):
                    return await self._connect(url, address, make)
            except TimeoutError as exc:
                failure = TransportError(
                    TransportFault.CONNECT, f"{url.origin} was not connected in time at {address.host}"
                )
                failure.__cause__ = exc
            except (OSError, ssl.CertificateError) as exc:
                failure = _failure(exc, url, address)
                failure.__cause__ = exc
        assert failure is not None  # resolve gives one address at least
        raise failure

    async def _connect(self, url: Url, address: Address, make: Callable[[], Connection]) -> Connection:
        loop = asyncio.get_running_loop()
        if url.scheme == "https":
            # Without its closing dot, which certificates do not have.
            _, connection = await loop.create_connection(
                make,
                address.host,
                address.port,
                ssl=self._context(),
                server_hostname=url.host.removesuffix("."),
            )
        else:
            _, connection = await loop.create_connection(make, address.host, address.port)
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:  # made when first needed: reading the system's certificates takes 20 ms
            self._tls = ssl.create_default_context()
        return self._tls


def _failure(exc: Exception, url: Url, address: Address) -> TransportError:
    """The fault behind an exception of ``create_connection``."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return TransportError(
            TransportFault.TLS, f"the certificate of {url.origin} is not trusted: {exc.verify_message}"
        )
    if isinstance(exc, ssl.SSLError):
        return TransportError(TransportFault.TLS, f"no TLS with {url.origin}: {exc.reason or exc}")
    if url.scheme == "https" and isinstance(
        exc, ConnectionResetError | ConnectionAbortedError | BrokenPipeError
    ):
        return TransportError(TransportFault.TLS, f"{url.origin} closed the connection in the TLS handshake")
    reason = exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
    return TransportError(
        TransportFault.CONNECT, f"{url.origin} cannot be connected at {address.host}: {reason}"
    )
