"""The transport, newly created for each test: with direct connections, and with a proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import uvloop

from bridge.http import Transport
from bridge.http.lean import LeanTransport
from tests.support.forward_proxy import ForwardProxy
from tests.support.tls import TestAuthority, make_authority
from tests.support.transports import MakeTransport, make_lean, proxy_at


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test here on both event loops: they differ in sockets and TLS."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=["direct", "proxy"])
async def make_either(request: pytest.FixtureRequest) -> AsyncIterator[MakeTransport]:
    """Make transports that connect directly, or through a proxy: a tunnel for https, else forwarded."""
    if request.param == "direct":
        yield make_lean
        return
    async with ForwardProxy() as proxy:
        yield partial(make_lean, proxy=proxy_at(f"http://user:word@127.0.0.1:{proxy.port}"))


@pytest.fixture
async def transport(make_either: MakeTransport) -> AsyncIterator[Transport]:
    instance = make_either()
    yield instance
    await instance.close()


@pytest.fixture
async def lean() -> AsyncIterator[LeanTransport]:
    instance = make_lean()
    yield instance
    await instance.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return make_authority(tmp_path_factory.mktemp("authority"))
