"""Several events in one request: which ones, in which order, and what an answer means for each."""

from __future__ import annotations

import asyncio
import json

import pytest

from bridge.errors import TransportError, TransportFault
from bridge.model import Response
from tests.support.batch_receiver import BatchReceiver, SentBatch, naming, read_events
from tests.support.batch_worlds import ROOMY, deliver, fill, world_of
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


def answers(*given: Response | int | TransportError) -> BatchReceiver:
    """Return a receiver that gives these answers, and then 200."""
    left = iter(given)

    async def answer(_: SentBatch) -> Response | int | TransportError:
        return next(left, 200)

    return BatchReceiver(answer)


def parked(world: World) -> list[str]:
    """Return the ids of the parked events."""
    return [json.loads(record.value or b"")["id"] for record, _ in world.parking.parked]


@simulated
@pytest.mark.parametrize("form", ["array", "object", "ndjson"])
async def test_events_are_joined_and_each_has_its_id(form: str) -> None:
    world, receiver = world_of(Plan(batch=(10, ROOMY, 0.5, form)))
    await deliver(world, fill(world, "abc"))
    (sent,) = receiver.sent
    assert sent.ids == ["a", "b", "c"]
    assert len(set(sent.webhook_ids)) == 3
    assert sent.header(b"webhook-id").startswith(b"batch_")


@simulated
async def test_a_batch_has_at_most_the_configured_number_of_events() -> None:
    world, receiver = world_of(Plan(batch=(4, ROOMY, 0.5, "array")))
    await deliver(world, fill(world, map(str, range(10))))
    assert sorted(map(len, receiver.batches)) == [2, 4, 4]
    assert sorted(receiver.accepted, key=int) == [str(number) for number in range(10)]


@simulated
async def test_a_batch_has_at_most_the_configured_bytes_but_for_an_event_that_is_larger() -> None:
    world, receiver = world_of(Plan(batch=(100, 1024, 0.5, "array")))
    names = [*map(str, range(20)), "x" * 3000]
    await deliver(world, fill(world, names))
    sizes = [len(batch.request.body) for batch in receiver.sent if batch.ids != ["x" * 3000]]
    assert len(sizes) > 1
    assert max(sizes) <= 1024 + len("[]")
    assert ["x" * 3000] in receiver.batches


@simulated
async def test_the_first_event_waits_for_others_and_no_longer_than_configured() -> None:
    world, receiver = world_of(Plan(batch=(10, ROOMY, 2.0, "array")))
    process = Process(world).start()
    await asyncio.sleep(1)
    began = asyncio.get_running_loop().time()
    world.log.add("a", entity="1")
    await asyncio.sleep(1)
    world.log.add("b", entity="2")
    await until(lambda: receiver.sent)
    assert receiver.batches == [["a", "b"]]
    assert 1.9 <= asyncio.get_running_loop().time() - began <= 2.6
    await process.stop()


@simulated
async def test_a_full_batch_does_not_wait() -> None:
    world, receiver = world_of(Plan(batch=(3, ROOMY, 50.0, "array")))
    process = Process(world).start()
    await asyncio.sleep(1)
    world.log.add("a")
    await asyncio.sleep(1)
    began = asyncio.get_running_loop().time()
    for name in "bc":  # of the same entity: none of them makes a lane ready
        world.log.add(name)
    await until(lambda: receiver.sent)
    assert receiver.batches == [["a", "b", "c"]]
    assert asyncio.get_running_loop().time() - began < 5
    await process.stop()


@simulated
async def test_the_events_of_an_entity_are_in_order_inside_and_across_batches() -> None:
    world, receiver = world_of(Plan(batch=(3, ROOMY, 0.1, "array"), concurrency=4))
    names = [str(number) for number in range(60)]
    await deliver(world, fill(world, names, entities=5))
    for entity in range(5):
        mine = [name for name in receiver.accepted if int(name) % 5 == entity]
        assert mine == sorted(mine, key=int)


@simulated
async def test_no_two_requests_have_events_of_one_entity_at_a_time() -> None:
    world, receiver = world_of(Plan(batch=(3, ROOMY, 0.0, "array"), concurrency=4))
    busy: list[set[str]] = []
    overlaps = []

    async def answer(batch: SentBatch) -> int:
        mine = set(batch.entities)
        overlaps.extend(other & mine for other in busy)
        busy.append(mine)
        await asyncio.sleep(1)
        busy.remove(mine)
        return 200

    receiver.answer = answer
    await deliver(world, fill(world, map(str, range(40)), entities=5))
    assert any(other is not None for other in overlaps), "requests were in flight together"
    assert not any(overlaps)


@simulated
@pytest.mark.parametrize("by", ["id", "position"])
async def test_only_the_events_that_an_answer_names_are_sent_again(by: str) -> None:
    world, receiver = world_of()
    first = True

    async def answer(batch: SentBatch) -> Response | int:
        nonlocal first
        if not first:
            return 200
        first = False
        return naming(batch.webhook_ids[1] if by == "id" else 1)

    receiver.answer = answer
    process = await deliver(world, fill(world, "abc"))
    assert receiver.batches == [["a", "b", "c"], ["b"]]
    verdicts = [(row.event_id, row.verdict, row.attempt) for row in process.history.rows]
    assert verdicts == [
        ("a", "delivered", 1), ("b", "again", 1), ("c", "delivered", 1), ("b", "delivered", 2),
    ]  # fmt: skip


@simulated
async def test_what_follows_a_failed_event_of_its_entity_waits_for_it() -> None:
    """Also if the receiver accepted it: then it gets it twice, and never only before the failed one."""
    world, receiver = world_of(Plan(batch=(10, ROOMY, 0.1, "array")))
    receiver = answers(naming(1), naming(0))
    process = await deliver(world, fill(world, "abcd"[:4], entities=1), receiver)
    assert receiver.batches == [["a", "b", "c", "d"], ["b"], ["b"], ["c", "d"]]
    assert receiver.accepted == ["a", "b", "c", "d"]
    attempts = [(row.event_id, row.attempt) for row in process.history.rows if row.verdict == "delivered"]
    assert attempts == [("a", 1), ("b", 3), ("c", 1), ("d", 1)], "waiting uses no attempt"


@simulated
async def test_an_event_that_is_named_again_and_again_is_parked_alone() -> None:
    world, receiver = world_of(Plan(batch=(10, ROOMY, 0.1, "array"), max_attempts=3))

    async def answer(batch: SentBatch) -> Response | int:
        return naming(batch.ids.index("b")) if "b" in batch.ids else 200

    receiver.answer = answer
    await deliver(world, fill(world, "abc", entities=1))
    assert parked(world) == ["b"]
    assert receiver.accepted == ["a", "c"]


@simulated
@pytest.mark.parametrize(
    "body",
    [
        b'{"failed": ["unknown"]}', b'{"failed": [3]}', b'{"failed": [-1]}', b'{"failed": [true]}',
        b'{"failed": 1}', b'{"failed": true}', b'{"failed": [{}]}', b'{"failed": ["',
        b'{"a": "' + b"x" * 5000, b'\xef\xbb\xbf{"failed": ["x"]}',
        b'{"\\u0066ailed": ["x"]}', '{"failed": [0]}'.encode("utf-16"),
    ],
)  # fmt: skip
async def test_an_unclear_answer_settles_nothing(body: bytes) -> None:
    world, _ = world_of()
    receiver = answers(Response(200, (), body))
    receiver._accept = lambda batch, response: None  # type: ignore[method-assign]  # it cannot read them
    process = await deliver(world, fill(world, "abc"), receiver)
    assert [len(batch) for batch in receiver.batches] == [3, 3]
    assert {row.verdict for row in process.history.rows[:3]} == {"again"}


@simulated
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"ok",
        b"[]",
        b'["failed"]',
        b'{"failed": []}',
        b'{"failed": 0}',
        b'{"failed": null}',
        b'{"ok": 1}',
    ],
)
async def test_an_answer_that_names_nothing_settles_all(body: bytes) -> None:
    world, _ = world_of()
    receiver = answers(Response(202, (), body))
    receiver._accept = lambda batch, response: None  # type: ignore[method-assign]  # it cannot read them
    await deliver(world, fill(world, "abc"), receiver)
    assert len(receiver.batches) == 1


@simulated
async def test_one_refused_event_does_not_park_the_others() -> None:
    world, receiver = world_of(Plan(batch=(100, ROOMY, 0.1, "array")))

    async def answer(batch: SentBatch) -> int:
        return 422 if "7" in batch.ids else 200

    receiver.answer = answer
    process = await deliver(world, fill(world, map(str, range(20))))
    assert parked(world) == ["7"]
    assert sorted(receiver.accepted, key=int) == [str(number) for number in range(20) if number != 7]
    assert len(receiver.sent) <= 12, "the batches are halved"
    assert all(row.attempt == 1 for row in process.history.rows), "a refused batch uses no attempt"


@simulated
async def test_a_refused_event_of_an_entity_is_parked_in_its_turn() -> None:
    world, receiver = world_of(Plan(batch=(100, ROOMY, 0.1, "array")))

    async def answer(batch: SentBatch) -> int:
        return 400 if {"3", "4"} & set(batch.ids) else 200

    receiver.answer = answer
    await deliver(world, fill(world, map(str, range(8)), entities=1))
    assert parked(world) == ["3", "4"]
    assert receiver.accepted == ["0", "1", "2", "5", "6", "7"]


@simulated
async def test_a_batch_that_fails_is_sent_again_in_order() -> None:
    world, _ = world_of()
    receiver = answers(503, TransportError(TransportFault.TIMEOUT, "no answer"), 500)
    await deliver(world, fill(world, "abcdef", entities=2), receiver)
    assert [name for name in receiver.accepted if name in "ace"] == ["a", "c", "e"]
    assert [name for name in receiver.accepted if name in "bdf"] == ["b", "d", "f"]
    assert not world.parking.parked


@simulated
async def test_a_repeated_batch_has_the_same_id_and_another_one_has_another() -> None:
    world, _ = world_of()
    receiver = answers(503, naming(0))
    await deliver(world, fill(world, "ab"), receiver)
    first, again, alone = (batch.header(b"webhook-id") for batch in receiver.sent)
    assert first == again != alone


@simulated
async def test_410_turns_the_endpoint_off_and_loses_nothing() -> None:
    world, _ = world_of()
    receiver = answers(410)
    world.receivers["crm"] = receiver  # type: ignore[assignment]  # both are transports
    count = fill(world, "abcd", entities=2)
    process = Process(world).start()
    await until(lambda: process.turned_off)
    await asyncio.sleep(60)
    assert len(receiver.sent) == 1
    process.switch("crm", on=True)
    await until(lambda: world.offsets.at("crm") == count)
    assert sorted(receiver.accepted) == ["a", "b", "c", "d"]
    await process.stop()


@simulated
async def test_a_2xx_that_ends_the_subscription_settles_its_batch() -> None:
    world, _ = world_of()
    receiver = answers(Response(200, ((b"webhook-delivery", b"disable"),), b""))
    await deliver(world, fill(world, "abcd", entities=2), receiver)
    assert receiver.batches == [["a", "c", "b", "d"]]


@simulated
async def test_a_stop_waits_for_the_batch_and_settles_all_of_it() -> None:
    world, receiver = world_of(Plan(batch=(10, ROOMY, 0.1, "array"), concurrency=1))

    async def answer(_: SentBatch) -> int:
        await asyncio.sleep(5)
        return 200

    receiver.answer = answer
    count = fill(world, "abcdef", entities=2)
    process = Process(world).start()
    await until(lambda: receiver.in_flight)
    await process.stop()
    assert world.offsets.at("crm") == count
    await deliver(world, count)
    assert len(receiver.sent) == 1


@simulated
async def test_a_batch_that_fails_during_a_stop_leaves_its_events_to_the_next_owner() -> None:
    world, receiver = world_of(Plan(batch=(10, ROOMY, 0.1, "array"), concurrency=1))

    async def answer(_: SentBatch) -> Response:
        await asyncio.sleep(5)
        return naming(1)

    receiver.answer = answer
    count = fill(world, "abcd", entities=1)
    process = Process(world).start()
    await until(lambda: receiver.in_flight)
    await process.stop()
    assert receiver.batches == [["a", "b", "c", "d"]]
    receiver.answer = BatchReceiver().answer
    await deliver(world, count)
    assert receiver.accepted == ["a", "b", "c", "d"]


@simulated
async def test_the_history_has_the_body_of_each_event_and_the_id_of_its_batch() -> None:
    world, receiver = world_of()
    process = await deliver(world, fill(world, "ab"))
    (sent,) = receiver.sent
    rows = process.history.rows
    assert {row.batch_id for row in rows} == {sent.header(b"webhook-id").decode()}
    for row, event, id_ in zip(rows, read_events(sent.request.body), "ab", strict=True):
        (own,) = read_events(row.body or b"")
        assert own["data"]["id"] == id_
        assert event == {"webhook_id": row.webhook_id, **own}


@simulated
async def test_a_dead_letter_of_one_event_does_not_hold_up_the_other_lanes() -> None:
    world, receiver = world_of(Plan(batch=(10, ROOMY, 0.1, "array"), concurrency=1, max_attempts=1))
    receiver = answers(naming(0))
    await deliver(world, fill(world, "abab", entities=2), receiver)
    assert parked(world) == ["a"]


@simulated
@pytest.mark.parametrize("named", [b'{"failed": [1]}', b'{"failed": [9]}'])
async def test_a_retry_after_with_failed_events_delays_only_these(named: bytes) -> None:
    """Named ones, or all if the answer is unclear. A fresh event is sent meanwhile."""
    world, receiver = world_of()

    async def answer(_: SentBatch) -> Response | int:
        return 200 if len(receiver.sent) > 1 else Response(200, ((b"retry-after", b"30"),), named)

    receiver.answer = answer
    receiver._accept = lambda batch, response: None  # type: ignore[method-assign]  # it cannot read them
    fill(world, "abc")
    process = Process(world).start()
    await until(lambda: receiver.sent)
    began = asyncio.get_running_loop().time()
    world.log.add("d", entity="another")
    await until(lambda: len(receiver.sent) == 2)
    assert receiver.batches[1] == ["d"]
    await until(lambda: len(receiver.sent) == 3)
    assert 30 <= asyncio.get_running_loop().time() - began < 31
    assert receiver.batches[2] == (["b"] if b"1" in named else ["a", "b", "c"])
    await process.stop()
