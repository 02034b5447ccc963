"""Requests that leave in the same turn of the loop are written together, if the process may still write.

While others are in flight on a few connections, the first one of a turn does not wait for the rest.
"""

from __future__ import annotations

import asyncio

import pytest

from bridge.errors import TransportError, TransportFault
from bridge.http.connection import Connection
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from tests.support.scripted_http import Peer, Received, ScriptedServer
from tests.support.transports import LOOPBACK, make_lean, ok, post


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


@pytest.mark.parametrize(
    ("connections", "in_flight", "at_once"), [(4, 0, 0), (4, 1, 1), (16, 2, 1), (17, 2, 0)]
)
async def test_the_first_request_of_a_turn_leaves_now_if_others_are_in_flight_on_a_few_connections(
    monkeypatch: pytest.MonkeyPatch, connections: int, in_flight: int, at_once: int
) -> None:
    lean, held, written = make_lean(connections), asyncio.Event(), 0
    original = Connection.write

    def write(connection: Connection) -> None:
        nonlocal written
        written += 1
        original(connection)

    async def answer(peer: Peer, request: Received) -> None:
        await held.wait()
        await peer.answer()

    monkeypatch.setattr(Connection, "write", write)
    async with ScriptedServer(answer) as server:
        opening = [asyncio.ensure_future(lean.send(post(server), 30)) for _ in range(connections)]
        while len(server.received) < connections:
            await asyncio.sleep(0.01)
        held.set()
        await asyncio.gather(*opening)
        held.clear()
        before = [asyncio.ensure_future(lean.send(post(server), 30)) for _ in range(in_flight)]
        while len(server.received) < connections + in_flight:
            await asyncio.sleep(0.01)
        written = 0
        sending = [asyncio.ensure_future(lean.send(post(server), 30)) for _ in range(2)]
        await asyncio.sleep(0)
        assert written == at_once
        held.set()
        await asyncio.gather(*before, *sending)
        assert written == 2
        await lean.close()


async def test_a_request_that_need_not_wait_for_its_turn_is_withheld_without_the_lease() -> None:
    leased, held = True, asyncio.Event()
    lean = LeanTransport(EgressPolicy(LOOPBACK), 4, idle_s=60.0, may_write=lambda: leased)

    async def answer(peer: Peer, request: Received) -> None:
        await held.wait()
        await peer.answer()

    async with ScriptedServer(answer) as server:
        both = [asyncio.ensure_future(lean.send(post(server), 30)) for _ in range(2)]
        while len(server.received) < 2:
            await asyncio.sleep(0.01)
        held.set()
        await asyncio.gather(*both)
        held.clear()
        before = asyncio.ensure_future(lean.send(post(server), 30))
        while len(server.received) < 3:
            await asyncio.sleep(0.01)
        leased = False
        with pytest.raises(TransportError) as withheld:
            await lean.send(post(server), 30)
        assert withheld.value.fault is TransportFault.WITHHELD
        held.set()
        await before
        assert len(server.received) == 3
        await lean.close()
