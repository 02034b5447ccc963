"""The system's resolver, with a DNS server that answers some names and is silent about others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.slow_dns import NAMESPACES

SCRIPT = """
import asyncio, uvloop
from bridge.http.egress_policy import EgressPolicy
from bridge.http.event_loop import EventLoop
from tests.support.transports import LOOPBACK

async def main():
    loop, egress = asyncio.get_running_loop(), EgressPolicy(LOOPBACK)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    slow = [asyncio.create_task(egress.resolve(f"slow{i % 8}.test", 443)) for i in range(200)]
    for i in range(8):
        slow.append(asyncio.create_task(loop.create_connection(asyncio.Protocol, f"slow{i}.test", 1)))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(5):
        assert [address.host for address in await egress.resolve("crm.fast.test", 443)] == ["127.0.0.1"]
        await loop.create_connection(asyncio.Protocol, "kafka.fast.test", port)
    assert not any(task.done() for task in slow)
    for task in slow:
        task.cancel()
    await asyncio.wait(slow)
    server.close()

uvloop.run(main(), loop_factory=EventLoop)
"""


def test_slow_names_stop_neither_others_nor_the_end_of_the_process() -> None:
    try:
        subprocess.run([*NAMESPACES, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("namespaces are not available to this user")
    script = [sys.executable, "-c", SCRIPT]
    process = subprocess.run(
        [*NAMESPACES, sys.executable, "-m", "tests.support.slow_dns", *script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=20,  # the resolver of the system would take 30 s
        check=False,
    )
    assert process.returncode == 0, process.stderr
