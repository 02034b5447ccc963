"""An outage of a token server parks no event, however long it is and however few attempts are allowed."""

from __future__ import annotations

import asyncio

import pytest

from bridge.core.verdict import judge
from bridge.errors import TransportError, TransportFault
from bridge.model import Verdict
from tests.support.fakes import Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


def no_token() -> TransportError:
    return TransportError(TransportFault.TOKEN, "token_url answered with status 503; check the server")


async def never_a_token(sent: Sent) -> int | Exception:
    return no_token()


async def accepts(sent: Sent) -> int | Exception:
    return 200


def world(*ids: str) -> World:
    """Return a world with one attempt per event, and a maximum age of a minute."""
    world = World({"crm": Plan(max_attempts=1, max_age_s=60)})
    for event_id in ids:
        world.log.add(event_id, entity=event_id)
    world.receiver.answer = never_a_token
    return world


def test_a_token_fault_is_retried_and_does_not_count() -> None:
    judgement = judge(no_token())
    assert (judgement.verdict, judgement.kind, judgement.counts) == (Verdict.AGAIN, "failed", False)


@pytest.mark.parametrize("fault", [fault for fault in TransportFault if fault is not TransportFault.TOKEN])
def test_every_other_fault_counts(fault: TransportFault) -> None:
    assert judge(TransportError(fault, "crm.test")).counts


@simulated
async def test_events_wait_through_an_outage_that_outlasts_all_attempts_and_their_age() -> None:
    stage = world("a", "b", "c")
    process = Process(stage).start()
    await asyncio.sleep(600)
    assert stage.parking.parked == []
    assert stage.receiver.delivered == []
    stage.receiver.answer = accepts
    await until(lambda: len(stage.receiver.delivered) == 3)
    assert sorted(stage.receiver.delivered) == ["a", "b", "c"]
    assert stage.parking.parked == []
    await process.stop()


@simulated
async def test_attempts_before_and_after_an_outage_of_the_token_server_are_counted_together() -> None:
    stage = World({"crm": Plan(max_attempts=3, base_s=1.0)})
    stage.log.add("a", entity="a")
    answers: list[int | Exception] = [500, *(no_token() for _ in range(20)), 500, no_token(), 500]

    async def scripted(sent: Sent) -> int | Exception:
        return answers.pop(0)

    stage.receiver.answer = scripted
    process = Process(stage).start()
    await until(lambda: bool(stage.parking.parked))
    assert answers == []
    ((_, reason),) = stage.parking.parked
    assert "gave up after 3 attempts" in reason.cause
    await process.stop()
