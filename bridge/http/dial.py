"""Open connections: resolve the name under the address policy, connect to a checked address, start TLS.

Exceptions of the operating system and of TLS are converted to ``TransportError`` here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from bridge.errors import TransportError, TransportFault
from bridge.http.connection import Connection
from bridge.http.egress_policy import Address, EgressPolicy
from bridge.http.tls import ClientTls, client_tls
from bridge.model import Url


class Dialer:
    """Opens a connection to one of an origin's addresses, all of which the policy allows.

    It dials the checked address itself; only TLS uses the name. It tries the addresses in the resolver's
    order. Each gets an equal share of the remaining time, so that a dead first one does not use it all.
    """

    def __init__(
        self, egress: EgressPolicy, tls: ssl.SSLContext | ClientTls | None, connect_timeout_s: float
    ) -> None:
        self._egress = egress
        self._tls = client_tls(tls)
        self._connect_timeout_s = connect_timeout_s

    async def dial(self, url: Url, make: Callable[[], Connection]) -> Connection:
        """Open a connection to the origin of ``url``. ``make`` creates the protocol object.

        Raises ``TransportError``: ``connect``, ``tls`` or ``refused_address``.
        """
        loop = asyncio.get_running_loop()
        deadline_at = loop.time() + self._connect_timeout_s
        try:
            async with asyncio.timeout_at(deadline_at):
                addresses = await self._egress.resolve(url.host, url.port)
        except TimeoutError as exc:
            raise TransportError(
                TransportFault.CONNECT,
                f"cannot resolve the name {url.host}: no answer within {self._connect_timeout_s:g} s; "
                "check the DNS servers of this machine and those of the name's domain",
            ) from exc
        failure: TransportError | None = None
        for index, address in enumerate(addresses):
            left_s = (deadline_at - loop.time()) / (len(addresses) - index)
            try:
                async with asyncio.timeout(left_s):
                    return await self._connect(url, address, make)
            except TimeoutError as exc:
                failure = TransportError(
                    TransportFault.CONNECT,
                    f"cannot connect to {url.origin} at {address.host}: no answer within {left_s:.1f} s",
                )
                failure.__cause__ = exc
            except (OSError, ssl.CertificateError) as exc:
                failure = _failure(exc, url, address)
                failure.__cause__ = exc
        assert failure is not None  # resolve returns at least one address
        raise failure

    async def _connect(self, url: Url, address: Address, make: Callable[[], Connection]) -> Connection:
        loop = asyncio.get_running_loop()
        if url.scheme == "https":
            # Without a trailing dot: names in certificates have none.
            _, connection = await loop.create_connection(
                make,
                address.host,
                address.port,
                ssl=self._tls.current(),
                server_hostname=self._tls.server_name or url.host.removesuffix("."),
            )
        else:
            _, connection = await loop.create_connection(make, address.host, address.port)
        return connection


def _failure(exc: Exception, url: Url, address: Address) -> TransportError:
    """Convert an exception of ``create_connection``."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return TransportError(
            TransportFault.TLS, f"the certificate of {url.origin} is not trusted: {exc.verify_message}"
        )
    if isinstance(exc, ssl.SSLError):
        return TransportError(
            TransportFault.TLS, f"the TLS handshake with {url.origin} failed: {exc.reason or exc}"
        )
    if url.scheme == "https" and isinstance(
        exc, ConnectionResetError | ConnectionAbortedError | BrokenPipeError
    ):
        return TransportError(
            TransportFault.TLS, f"{url.origin} closed the connection during the TLS handshake"
        )
    reason = exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
    return TransportError(
        TransportFault.CONNECT, f"cannot connect to {url.origin} at {address.host}: {reason}"
    )
