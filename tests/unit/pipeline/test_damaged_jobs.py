"""Records of jobs and moves that are damaged, or of another release, are ignored: the bridge goes on."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bridge.core.jobs import JobState, key_of
from bridge.core.moves import Moves
from bridge.model import Record
from bridge.pipeline.replay.jobs import ReplayJobs
from tests.support.fakes import P0
from tests.support.replays import CONTROL, replay

SOUND: dict[str, Any] = orjson.loads(replay({P0: (0, 5)}).to_bytes())


def record(key: bytes, value: bytes | None) -> Record:
    return Record(CONTROL, 0, 0, key, value)


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": None},
        {"endpoint": 5},
        {"created": 7},
        {"by": None},
        {"position": []},
        {"position": {"stretches": 5}},
        {"position": {"stretches": [["orders", 0, 5]]}},
        {"position": {"stretches": [["orders", 0, 5, 5]]}},
        {"position": {"stretches": [["orders", 0, -1, 5]]}},
        {"position": {"stretches": [["orders", "0", 0, 5]]}},
        {"position": {"stretches": [[["orders"], 0, 0, 5]]}},
        {"position": {"stretches": [["orders", 0, 0, 5]], "topic_ids": []}},
        {"rate_per_s": 0},
        {"rate_per_s": -1.5},
        {"rate_per_s": "fast"},
        {"state": "asleep"},
        {"kind": "rewrite"},
        {"query": 5},
    ],
)
def test_a_damaged_replay_is_ignored(change: dict[str, Any]) -> None:
    jobs = ReplayJobs()
    jobs.apply(record(key_of("r1"), orjson.dumps(SOUND | change)))
    assert jobs.all() == []


@pytest.mark.parametrize("value", [b"", b"5", b"[]", b"null", b"{}", b"\xff"])
def test_what_is_no_job_changes_nothing(value: bytes) -> None:
    jobs = ReplayJobs()
    jobs.apply(record(key_of("r1"), orjson.dumps(SOUND)))
    jobs.apply(record(key_of("r1"), value))
    assert [job.state for job in jobs.all()] == [JobState.RUNNING]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"move/m/crm/orders", b"{}"),
        (b"move/m/crm/orders/x", b'{"back": true, "offset": 5, "at": "", "by": ""}'),
        (b"move/m/crm/orders/0", b'{"back": true, "offset": -5, "at": "", "by": ""}'),
        (b"move/m/crm/orders/0", b'{"back": true, "offset": [], "at": "", "by": ""}'),
        (b"move/m/crm/orders/0", b"[]"),
        (b"move/\xff/crm/orders/0", b"{}"),
    ],
)
def test_a_damaged_move_is_ignored(key: bytes, value: bytes) -> None:
    moves = Moves()
    moves.apply(record(key, value))
    assert moves.all() == []
