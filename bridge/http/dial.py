"""Open connections: resolve the name under the address policy, connect to a checked address, start TLS.

Exceptions of the operating system and of TLS are converted to ``TransportError`` here.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import NamedTuple, TypeVar

from bridge.errors import TransportError, TransportFault
from bridge.http.connection import Connection
from bridge.http.egress_policy import Address, EgressPolicy
from bridge.http.proxy import Proxy, Tunnel
from bridge.http.tls import ClientTls, client_tls
from bridge.model import Url

_Protocol = TypeVar("_Protocol", bound=asyncio.BaseProtocol)


class _Peer(NamedTuple):
    """Whom a connection goes to, for messages: the receiver, or the proxy and for which receiver."""

    url: Url
    kind: str = ""
    purpose: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}{self.url.origin}"


class Dialer:
    """Opens a connection to one of an origin's addresses, all of which the policy allows.

    It dials the checked address itself; only TLS uses the name. It tries the addresses in the resolver's
    order. Each gets an equal share of the remaining time, so that a dead first one does not use it all.

    With a proxy it dials the proxy, after the policy has checked the receiver. A connection for https is
    a tunnel with TLS to the receiver; one for http is a connection to the proxy, which forwards requests.
    """

    def __init__(
        self,
        egress: EgressPolicy,
        tls: ssl.SSLContext | ClientTls | None,
        connect_timeout_s: float,
        proxy: Proxy | None = None,
        source_address: str | None = None,
    ) -> None:
        """``source_address``: the address of this machine that connections come from; None for any."""
        self._egress = egress
        self._tls = client_tls(tls)
        self._connect_timeout_s = connect_timeout_s
        self._proxy = proxy
        self._source = source_address

    async def dial(self, url: Url, make: Callable[[], Connection]) -> Connection:
        """Open a connection to the origin of ``url``. ``make`` creates the protocol object.

        Raises ``TransportError``: ``connect``, ``tls`` or ``refused_address``; ``protocol`` for a proxy only.
        """
        deadline_at = asyncio.get_running_loop().time() + self._connect_timeout_s
        proxy = self._proxy
        if proxy is None:
            addresses = await self._look_up(url, self._egress.resolve, deadline_at)

            def open_one(address: Address) -> Awaitable[Connection]:
                return self._connect(address, make, self._context_for(url), self._server_name(url))
        else:
            if url.scheme == "https":
                await self.check_proxied(url)
            addresses = await self._look_up(proxy.url, self._egress.resolve_proxy, deadline_at)

            def open_one(address: Address) -> Awaitable[Connection]:
                if url.scheme == "https":
                    return self._tunnel(proxy, url, address, make)
                return self._connect_proxy(proxy, address, make)

        peer = _Peer(url) if proxy is None else _Peer(proxy.url, "the proxy ", f" for {url.origin}")
        return await self._open_first(peer, addresses, deadline_at, open_one)

    async def check_proxied(self, url: Url) -> None:
        """Check a receiver to which a proxy connects. The check has half of the time to connect.

        ``dial`` does so for a tunnel. For requests that the proxy forwards, call it before each of them.

        Raises ``TransportError``: ``connect`` or ``refused_address``.
        """
        await self._egress.check_proxied(url.host, url.port, self._connect_timeout_s / 2)

    async def _look_up(
        self,
        url: Url,
        resolve: Callable[[str, int], Awaitable[list[Address]]],
        deadline_at: float,
    ) -> Sequence[Address]:
        """Return the addresses to try: those of the family of the source address, if there is one."""
        try:
            async with asyncio.timeout_at(deadline_at):
                addresses = await resolve(url.host, url.port)
        except TimeoutError as exc:
            raise TransportError(
                TransportFault.CONNECT,
                f"cannot resolve the name {url.host}: no answer within {self._connect_timeout_s:g} s; "
                "check the DNS servers of this machine and those of the name's domain",
            ) from exc
        if self._source is None:
            return addresses
        version = ip_address(self._source).version
        usable = [address for address in addresses if ip_address(address.host).version == version]
        if not usable:
            raise TransportError(
                TransportFault.CONNECT,
                f"{url.host} has no IPv{version} address, which source_address {self._source} needs; "
                "change source_address, or remove it",
            )
        return usable

    async def _open_first(
        self,
        peer: _Peer,
        addresses: Sequence[Address],
        deadline_at: float,
        open_one: Callable[[Address], Awaitable[Connection]],
    ) -> Connection:
        """Return the connection to the first address that accepts one."""
        loop = asyncio.get_running_loop()
        failure: TransportError | None = None
        for index, address in enumerate(addresses):
            left_s = (deadline_at - loop.time()) / (len(addresses) - index)
            where = f"{peer.name} at {address.host}{peer.purpose}"
            try:
                async with asyncio.timeout(left_s):
                    return await open_one(address)
            except TimeoutError as exc:
                failure = TransportError(
                    TransportFault.CONNECT, f"cannot connect to {where}: no answer within {left_s:.1f} s"
                )
                failure.__cause__ = exc
            except (OSError, ssl.CertificateError) as exc:
                failure = self._failure(exc, peer, where)
                failure.__cause__ = exc
        assert failure is not None  # resolve returns at least one address
        raise failure

    async def _connect(
        self,
        address: Address,
        make: Callable[[], _Protocol],
        context: ssl.SSLContext | None,
        server_name: str,
    ) -> _Protocol:
        """Open a TCP connection, with TLS if there is a ``context``."""
        _, protocol = await asyncio.get_running_loop().create_connection(
            make,
            address.host,
            address.port,
            ssl=context,
            server_hostname=server_name if context else None,
            local_addr=(self._source, 0) if self._source else None,
        )
        return protocol

    async def _connect_proxy(
        self, proxy: Proxy, address: Address, make: Callable[[], _Protocol]
    ) -> _Protocol:
        context = client_tls(proxy.tls).current() if proxy.url.scheme == "https" else None
        return await self._connect(address, make, context, proxy.url.host.removesuffix("."))

    async def _tunnel(
        self, proxy: Proxy, url: Url, address: Address, make: Callable[[], Connection]
    ) -> Connection:
        """Open a tunnel through the proxy, and start TLS with the receiver in it."""
        loop = asyncio.get_running_loop()
        tunnel = await self._connect_proxy(proxy, address, lambda: Tunnel(loop, proxy, url))
        assert tunnel.transport is not None
        try:
            transport = await tunnel.opened()
            connection = make()
            secured = await loop.start_tls(
                transport, connection, self._tls.current(), server_hostname=self._server_name(url)
            )
        except (OSError, ssl.CertificateError, RuntimeError) as exc:  # RuntimeError: closed meanwhile
            tunnel.transport.abort()
            peer = _Peer(url)
            raise self._failure(exc, peer, f"{peer.name} through the proxy {proxy.url.origin}") from exc
        except BaseException:
            tunnel.transport.abort()
            raise
        if secured is None or connection.retired:  # the peer closed it, or spoke without being asked
            tunnel.transport.abort()
            raise TransportError(TransportFault.TLS, f"{url.origin} closed the connection immediately")
        connection.connection_made(secured)  # start_tls does not call it
        return connection

    def _context_for(self, url: Url) -> ssl.SSLContext | None:
        return self._tls.current() if url.scheme == "https" else None

    def _server_name(self, url: Url) -> str:
        """Return the name that TLS sends and expects: without a trailing dot, as names in certificates."""
        return self._tls.server_name or url.host.removesuffix(".")

    def _failure(self, exc: Exception, peer: _Peer, where: str) -> TransportError:
        """Convert an exception of the event loop. ``where``: the peer, and how it was dialed."""
        if isinstance(exc, ssl.SSLCertVerificationError):
            return TransportError(
                TransportFault.TLS, f"the certificate of {peer.name} is not trusted: {exc.verify_message}"
            )
        if isinstance(exc, ssl.SSLError):
            return TransportError(
                TransportFault.TLS, f"the TLS handshake with {peer.name} failed: {exc.reason or exc}"
            )
        if peer.url.scheme == "https" and isinstance(
            exc, ConnectionResetError | ConnectionAbortedError | BrokenPipeError
        ):
            return TransportError(
                TransportFault.TLS, f"{peer.name} closed the connection during the TLS handshake"
            )
        reason = exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
        if isinstance(exc, OSError) and exc.errno == errno.EADDRNOTAVAIL and self._source:
            reason = f"source_address {self._source} is not an address of this machine; correct or remove it"
        return TransportError(TransportFault.CONNECT, f"cannot connect to {where}: {reason}")
