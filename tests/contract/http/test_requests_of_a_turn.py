"""Requests that leave in the same turn of the loop are written together, if the process may still write."""

from __future__ import annotations

import asyncio

from bridge.errors import TransportError, TransportFault
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from tests.support.scripted_http import ScriptedServer
from tests.support.transports import LOOPBACK, ok, post


async def test_requests_are_withheld_if_the_lease_ends_before_they_are_written() -> None:
    leased = True
    lean = LeanTransport(EgressPolicy(LOOPBACK), 4, idle_s=60.0, may_write=lambda: leased)
    async with ScriptedServer(ok) as server:
        await asyncio.gather(*(lean.send(post(server), 30) for _ in range(3)))
        sent = len(server.received)
        sending = [asyncio.ensure_future(lean.send(post(server), 30)) for _ in range(3)]
        await asyncio.sleep(0)  # they have their connections, and are not written
        leased = False
        outcomes = await asyncio.gather(*sending, return_exceptions=True)
        faults = [outcome.fault for outcome in outcomes if isinstance(outcome, TransportError)]
        assert faults == [TransportFault.WITHHELD] * 3
        leased = True
        assert (await lean.send(post(server), 30)).status == 200
        assert len(server.received) == sent + 1
        await lean.close()


async def test_a_request_that_ended_before_it_was_written_is_not_written(lean: LeanTransport) -> None:
    async with ScriptedServer(ok) as server:
        await lean.send(post(server), 30)
        (connection,) = lean._joined
        connection.abandon(connection.start(b"not a request", connection.deadline_at, True))
        assert (await lean.send(post(server), 30)).status == 200
        assert len(server.received) == 2
        assert server.connections == 2


async def test_bytes_that_come_before_the_request_is_written_are_no_answer_to_it(lean: LeanTransport) -> None:
    async with ScriptedServer(ok) as server:
        await lean.send(post(server), 30)
        (connection,) = lean._joined
        sending = asyncio.ensure_future(lean.send(post(server), 30))
        await asyncio.sleep(0)
        connection.data_received(b"HTTP/1.1 204 N\r\n\r\n")
        (outcome,) = await asyncio.gather(sending, return_exceptions=True)
        assert isinstance(outcome, TransportError)
        assert outcome.fault is TransportFault.READ
        assert len(server.received) == 1
