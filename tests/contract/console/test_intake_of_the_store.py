"""How records of the history become rows: each once, whatever was read before."""

from __future__ import annotations

import orjson
import pytest

from bridge.console.intakes import AttemptsIntake
from bridge.console.query import AttemptQuery
from bridge.console.store.attempts import AttemptQueries
from bridge.console.store.database import Database, Insert
from bridge.console.store.endpoint_stats import read_stats
from bridge.console.store.intake import IntakeState, take_in
from bridge.console.store.series import KnownSeries
from bridge.errors import RowsRefused
from bridge.model import Damage, Partition, Record
from tests.support.attempts import BEGAN_S, attempt_at, batch_record
from tests.support.console_store import TOPIC, store_attempts

EVERY = AttemptQuery()


async def number_of(store: Database) -> int:
    return len((await AttemptQueries(store, TOPIC).page(EVERY, None, 500)).items)


async def test_records_that_were_read_before_add_nothing(store: Database) -> None:
    records = [batch_record(offset, attempt_at(offset)) for offset in range(3)]
    await store_attempts(store, *records)
    await store_attempts(store, *records, batch_record(3, attempt_at(3)))
    assert await number_of(store) == 4


async def test_a_record_that_was_written_twice_adds_nothing(store: Database) -> None:
    first = batch_record(5, attempt_at(1))
    await store_attempts(store, first)
    await store_attempts(store, first._replace(offset=6), batch_record(7, attempt_at(2))._replace(offset=8))
    assert await number_of(store) == 2


async def test_two_consoles_with_one_store_write_each_attempt_once(store: Database) -> None:
    one, other = AttemptsIntake(store), AttemptsIntake(store)
    await one.load(None)
    await other.load(None)
    record = batch_record(0, attempt_at(1))
    taken, same = one.take([record]), other.take([record])
    assert await store.apply(TOPIC, 0, taken.state, taken.changes)
    assert not await store.apply(TOPIC, 0, same.state, same.changes)
    assert await number_of(store) == 1


async def test_rows_and_position_are_written_together_or_not_at_all(store: Database) -> None:
    await store_attempts(store, batch_record(0, attempt_at(1)))
    position = await store.position(TOPIC)
    assert position is not None
    same_id = [Insert("batches", ("id", "part", "place"), [(0, 1, 1)])]
    with pytest.raises(RowsRefused):
        await store.apply(TOPIC, position.version, "{}", same_id)
    assert await store.position(TOPIC) == position


def test_a_record_that_is_no_attempts_is_left_out_and_named() -> None:
    damaged = batch_record(1, attempt_at(1))._replace(damage=Damage("bad bytes", "none", 2, "record"))
    other = orjson.dumps({"format": 1, "process": "p", "endpoint": "e", "number": 1, "columns": ["x"],
                          "attempts": [[1]]})  # fmt: skip
    wrong = orjson.dumps({"format": 1, "process": "p", "endpoint": "e", "number": 1, "columns": ["x"],
                          "attempts": 5})  # fmt: skip
    torn = orjson.dumps({"format": 2, "process": "p", "endpoint": "e", "number": 1, "same": {},
                         "columns": {"sent_s": [1, 2], "offset": [3]}})  # fmt: skip
    values = [None, b"", b"[]", b"{", other, wrong, torn, b'{"format": 9}']
    records = [Record(Partition(TOPIC, 0), 10 + at, 0, None, value) for at, value in enumerate(values)]
    taken = take_in([damaged, *records, batch_record(30, attempt_at(2))], IntakeState({}), KnownSeries())
    assert taken.attempts == 1
    assert len(taken.unreadable) == 9
    assert taken.state.offsets == {0: 31}
    assert IntakeState.read(taken.state.to_text()) == taken.state


async def test_the_last_hour_is_counted_by_minute(store: Database) -> None:
    start = BEGAN_S // 60 * 60 + 3600 - BEGAN_S
    appended = {"appended_ms": round((BEGAN_S + start) * 1000)}
    rows = [attempt_at(start + 0.5 + n, **appended) for n in range(10)]
    failure = attempt_at(start + 65, status=500, verdict="again", **appended)
    await store_attempts(store, batch_record(0, *rows, failure, attempt_at(start - 4000)))
    await store_attempts(store, batch_record(1, attempt_at(start + 20, **appended)))
    stats = await read_stats(store, BEGAN_S + start + 119)
    crm = stats["crm"]
    assert [(point.attempts, point.delivered) for point in crm.points[-2:]] == [(11, 11), (1, 0)]
    assert len(crm.points) == 60
    assert crm.success_rate == pytest.approx(11 / 12)
    assert crm.latency_p50_s == pytest.approx(5.75, rel=0.2)
    assert crm.latency_p99_s == pytest.approx(20.25, rel=0.2)
    assert await read_stats(store, BEGAN_S + 90_000) == {}
