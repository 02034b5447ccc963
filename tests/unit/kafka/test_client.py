"""Reaching the broker: only broker errors are retried, and their causes are in words."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs

from bridge.errors import BrokerError, KafkaUnavailable
from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions, start_when_reachable
from bridge.telemetry import events
from tests.support.fake_producer import broker_error
from tests.support.simulated import simulated


@simulated
async def test_a_start_is_retried_with_growing_delays_until_a_broker_answers() -> None:
    attempts = 0

    async def start() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 6:
            raise broker_error("connection refused")

    with capture_logs() as logs:
        await start_when_reachable(start, ["a:9092", "b:9092"])
    assert asyncio.get_running_loop().time() == pytest.approx(1 + 2 + 5 + 10 + 10)
    assert [line["event"] for line in logs] == [events.KAFKA_UNREACHABLE] * 5 + [events.KAFKA_CONNECTED]
    assert (logs[0]["servers"], logs[0]["cause"]) == ("a:9092,b:9092", "connection refused")


@simulated
async def test_a_problem_that_no_retry_fixes_is_not_retried() -> None:
    async def start() -> None:
        raise KafkaUnavailable("topic 'g.parked' does not exist")

    with pytest.raises(KafkaUnavailable, match="does not exist"):
        await start_when_reachable(start, ["a:9092"])


@simulated
async def test_a_call_that_takes_too_long_names_its_limit_and_the_remedy() -> None:
    with pytest.raises(BrokerError) as caught:
        async with broker_call("list the topics", timeout_s=10):
            await asyncio.sleep(60)
    assert str(caught.value) == (
        "cannot list the topics: the broker did not answer within 10 s;"
        " check kafka.bootstrap_servers, kafka.tls, kafka.sasl and that the broker is up"
    )


@simulated
async def test_an_error_of_the_client_library_is_mapped_once() -> None:
    with pytest.raises(BrokerError) as caught:
        async with broker_call("list the topics"), broker_call("reach a broker"):
            raise KafkaConnectionError("refused")
    assert str(caught.value).startswith("cannot reach a broker: KafkaConnectionError: refused; check")
    assert isinstance(caught.value.__cause__, KafkaConnectionError)


@simulated
async def test_a_cancellation_is_not_an_error_of_the_broker() -> None:
    async def call() -> None:
        async with broker_call("list the topics", timeout_s=10):
            await asyncio.sleep(60)

    task = asyncio.ensure_future(call())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_secrets_are_not_in_the_repr_of_the_options() -> None:
    options = KafkaOptions(("a:9092",), sasl_username="bridge", sasl_password="hush")
    assert "hush" not in repr(options)
