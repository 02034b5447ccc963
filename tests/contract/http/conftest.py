"""Both transports, newly created for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from bridge.http import Transport
from bridge.http.lean import LeanTransport
from tests.support.tls import TestAuthority, make_authority
from tests.support.transports import MakeTransport, make_httpx, make_lean


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test here on both event loops: they differ in sockets and TLS."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=[make_lean, make_httpx], ids=["lean", "httpx"])
def make_either(request: pytest.FixtureRequest) -> MakeTransport:
    return request.param  # type: ignore[no-any-return]


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
