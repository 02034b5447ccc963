"""Clients of aiokafka that die or hang are repaired or replaced, and a stop closes all of them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import aiokafka.conn
import pytest
import uvloop
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from structlog.testing import capture_logs

from bridge.kafka.aiokafka_patches.background_tasks import ended_task
from bridge.kafka.aiokafka_patches.connection import PatchedConnection
from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_reader import Reader
from bridge.kafka.membership import Membership
from bridge.kafka.offsets import OffsetStore
from bridge.kafka.producer import DurableProducer, NewRecord
from bridge.model import Committed, Partition
from bridge.telemetry import events
from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import logged, quick_config, wait_until

Bridges = Callable[..., BridgeProcess]


def on_uvloop(test: Callable[[], Awaitable[None]]) -> None:
    """Run on uvloop, like the product."""
    uvloop.run(test())  # type: ignore[arg-type]


class Resetting:
    """A proxy between one client and the broker: forwards one request, then resets once ``now`` is set."""

    def __init__(self, broker: int) -> None:
        self._broker = broker
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.now = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with self._listener, client, socket.create_connection(("127.0.0.1", self._broker)) as broker:
            broker.sendall(client.recv(65536))
            client.sendall(broker.recv(65536))
            self.now.wait(20)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with RST


def test_a_write_to_a_connection_that_was_just_reset_raises_a_connection_error(kafka: RealKafka) -> None:
    """Another exception would end aiokafka's metadata task, and all callers would wait forever."""

    async def test() -> None:
        peer = Resetting(kafka.port)
        connection = await aiokafka.conn.create_conn("127.0.0.1", peer.port)
        try:
            peer.now.set()
            async with asyncio.timeout(5):
                while connection._reader.exception() is None:
                    await asyncio.sleep(0)
            assert connection.connected(), "aiokafka has noticed the reset already: the test checks too late"
            with pytest.raises(KafkaConnectionError):
                await connection.send(MetadataRequest([]))
            assert not connection.connected()
        finally:
            connection.close()

    on_uvloop(test)


def test_every_client_uses_the_patched_connection(kafka: RealKafka) -> None:
    async def test() -> None:
        client = AIOKafkaClient(**KafkaOptions((kafka.bootstrap,)).arguments())
        await client.bootstrap()
        try:
            assert await client.ready(1)
            assert {type(connection) for connection in client._conns.values()} == {PatchedConnection}
        finally:
            await client.close()

    on_uvloop(test)


def kill_metadata_task(consumer: Any) -> None:
    consumer._client._sync_task.cancel()


def kill_fetch_task(consumer: Any) -> None:
    consumer._fetcher._fetch_task.cancel()


def kill_coordination_task(consumer: Any) -> None:
    consumer._coordinator._coordination_task.cancel()


@pytest.mark.parametrize("kill", [kill_metadata_task, kill_fetch_task, kill_coordination_task])
def test_a_consumer_with_a_dead_task_is_replaced(kafka: RealKafka, kill: Callable[[Any], None]) -> None:
    """The new consumer joins the group and reads on; the previous assignment was drained."""
    topic = kafka.fresh_topic(partitions=1)
    partition = Partition(topic, 0)
    group = f"replaced.{topic}.{kill.__name__}"

    async def test() -> None:
        drained = 0

        async def revoked() -> None:
            nonlocal drained
            drained += 1

        reader = Reader(
            KafkaOptions((kafka.bootstrap,)), Membership(group, (topic,), instance_id="one"), revoked
        )
        await reader.member.start()
        try:
            await _read_until_assigned(reader, epoch=1)
            kill(reader.member.consumer)
            with capture_logs() as logs:
                await _read_until_assigned(reader, epoch=2)
            assert drained == 1
            (line,) = [line for line in logs if line["event"] == events.SOURCE_REPLACED]
            assert "task has ended" in line["cause"]
            produce(kafka.bootstrap, topic, outbox_events(3))
            received = 0
            async with asyncio.timeout(20):
                while received < 3:
                    received += sum(len(records) for _, records in await reader.read((), 0.1))
            await reader.member.fence({partition: 3})
        finally:
            await reader.member.stop()

    on_uvloop(test)


async def _read_until_assigned(reader: Reader, epoch: int) -> None:
    async with asyncio.timeout(30):
        while reader.epoch < epoch:
            await reader.read((), 0.1)
    reader.start_at({one: first for one, (first, _) in (await reader.bounds(reader.assigned)).items()})


def test_an_offsets_client_with_a_dead_task_is_replaced(kafka: RealKafka) -> None:
    topic = kafka.fresh_topic(partitions=1)

    async def test() -> None:
        store = OffsetStore(KafkaOptions((kafka.bootstrap,)))
        await store.start()
        first = store._client.current
        try:
            first._sync_task.cancel()
            await asyncio.sleep(0)
            await store.commit(f"of.{topic}", {Partition(topic, 0): Committed(1, "")})
            assert store._client.current is not first
            assert ended_task(store._client.current) is None
        finally:
            await store.close()

    on_uvloop(test)


def test_a_producer_with_a_dead_task_is_replaced(kafka: RealKafka) -> None:
    topic = kafka.fresh_topic(partitions=1)

    async def test() -> None:
        async with DurableProducer(KafkaOptions((kafka.bootstrap,)), "tests") as producer:
            first = producer._client.current
            assert ended_task(first) is None
            first._sender.sender_task.cancel()
            async with asyncio.timeout(5):
                while "send task has ended" not in (ended_task(first) or ""):
                    await asyncio.sleep(0)
            await producer.write(NewRecord(topic, b"value"))
            assert producer._client.current is not first

    on_uvloop(test)


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["there", "away"])
def test_a_stop_during_a_rebalance_does_not_wait_for_the_rebalance(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, broker: str
) -> None:
    """One pod waits for a paused pod when it is stopped, with and without a broker."""
    own = RealKafka().start()
    try:
        topic = own.create_topic("stop", 4)
        config = quick_config(
            own, topic, {"shop": {"url": receiver.url("/shop"), "timeout_s": 2}}, "stop", drain_timeout_s=3
        )
        config["kafka"] |= {"session_timeout_s": 60, "rebalance_timeout_s": 60, "heartbeat_interval_s": 0.3}
        still, waiting = bridges(config).start(), bridges(config).start()
        wait_until(lambda: logged(still, "source.revoked"), "both are members")
        still.pause()
        third = bridges(config).start(wait=False)
        before = len(logged(waiting, "source.assigned"))
        wait_until(lambda: logged(waiting, "source.revoked"), "it joins again", 20)
        if broker == "away":
            own.kill()
        # long for a drain of 3 s on a loaded machine, and well below the 60 s of the rebalance
        assert waiting.terminate(timeout_s=30) == 0
        assert logged(waiting, "bridge.drained")
        assert len(logged(waiting, "source.assigned")) == before
        assert third.terminate(timeout_s=30) == 0
        still.resume()
    finally:
        own.close()


@pytest.mark.slow
def test_sigusr1_logs_what_every_task_waits_for(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The bridge continues to deliver afterwards."""
    topic = kafka.fresh_topic()
    config = quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, f"seen.{topic}")
    bridge = bridges(config).start()
    os.kill(bridge.pid, signal.SIGUSR1)
    lines = wait_until(lambda: logged(bridge, "task.seen"), "the tasks are logged")
    by_name = wait_until(
        lambda: (found := {line["task"]: line for line in logged(bridge, "task.seen")}).get("read") and found,
        "the reader is one of them",
    )
    assert lines
    assert any("Reader.read" in call for call in by_name["read"]["waits_in"]), by_name["read"]
    produce(kafka.bootstrap, topic, outbox_events(10))
    receiver.wait_for("/shop", accepted=10)
    assert bridge.terminate() == 0
