"""What a 2xx to several events means for each of them, and what an unclear one is reported as."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.core.batches import failed_events
from bridge.core.verdict import Judgement
from bridge.model import Response, Verdict

IDS = ["evt_a", "evt_b", "evt_a"]
"""A producer may write one event twice."""


def read(failed: Any) -> frozenset[int] | Judgement:
    """Return what an answer with this member ``failed`` means."""
    return failed_events(Response(200, (), json.dumps({"failed": failed}).encode()), IDS)


@pytest.mark.parametrize(
    ("failed", "positions"),
    [([0], {0}), ([2, 2, "evt_b"], {1, 2}), (["evt_a"], {0, 2}), ([], set()), ({}, set()), ("", set())],
)
def test_events_are_named_by_position_or_id_once_or_more(failed: Any, positions: set[int]) -> None:
    assert read(failed) == positions


@pytest.mark.parametrize(
    ("failed", "shown"),
    [
        ([0, 3], "contains 3, which is neither a webhook_id of this batch nor a position from 0 to 2"),
        ([-1], "contains -1, which is neither"),
        (["evt_é"], 'contains "evt_\\u00e9", which is neither'),
        (["x" * 200], "contains a value of 202 characters, which is neither"),
        ([True], "contains true; name webhook ids or positions"),
        ([1.0], "contains 1.0; name webhook ids or positions"),
        ([None], "contains null; name webhook ids or positions"),
        ([{"id": 1}], "contains no text or number; name webhook ids or positions"),
        ({"0": "evt_a"}, "is not a list of webhook ids or positions"),
    ],
)
def test_an_unclear_answer_is_reported_with_the_value_that_is_wrong(failed: Any, shown: str) -> None:
    judgement = read(failed)
    assert isinstance(judgement, Judgement)
    assert judgement.verdict is Verdict.AGAIN
    assert f"status 200, but the answer is unclear: its member failed {shown}" in judgement.reason
