"""Each filter selects what it names, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.history.attempt import AttemptId, Kept
from bridge.history.selection import AttemptFilter, check_status
from tests.support.attempts import BEGAN_S, attempt_at

AT_MS = int(BEGAN_S * 1000)


def matches(filter: dict[str, Any], **facts: Any) -> bool:
    return AttemptFilter(**filter).matches(Kept(AttemptId(0, 0, 0), "crm", attempt_at(0, **facts)))


@pytest.mark.parametrize(
    ("filter", "facts", "selected"),
    [
        ({}, {}, True),
        ({"endpoint": "crm"}, {}, True),
        ({"endpoint": "CRM"}, {}, False),
        ({"event": "id-0"}, {}, True),
        ({"event": "msg_0"}, {}, True),
        ({"event": "id"}, {}, False),
        ({"type": "Loan*"}, {}, True),
        ({"type": "loan*"}, {}, False),
        ({"entity": "e1"}, {}, True),
        ({"entity": "e1"}, {"entity": None}, False),
        ({"tenant": "t"}, {"tenant": "t"}, True),
        ({"tenant": "t"}, {}, False),
        ({"since_ms": AT_MS}, {}, True),
        ({"since_ms": AT_MS + 1}, {}, False),
        ({"until_ms": AT_MS}, {}, False),
        ({"until_ms": AT_MS + 1}, {}, True),
        ({"status": "200"}, {}, True),
        ({"status": "2xx"}, {}, True),
        ({"status": "20x"}, {}, True),
        ({"status": "5xx"}, {}, False),
        ({"status": "none"}, {}, False),
        ({"status": "none"}, {"status": None}, True),
        ({"status": "5xx"}, {"status": None}, False),
        ({"verdict": "again"}, {"verdict": "again"}, True),
        ({"verdict": "again"}, {}, False),
        ({"text": "NEEDLE"}, {"reason": "a needle"}, True),
        ({"text": "needle"}, {"body": b"\xff a Needle"}, True),
        ({"text": "needle"}, {"answer_body": b"needle"}, True),
        ({"text": "needle"}, {"headers": b"x: needle"}, True),
        ({"text": "needle"}, {"answer_headers": b"x: needle"}, True),
        ({"text": "needle"}, {"url": "https://crm.test/needle"}, True),
        ({"text": "needle"}, {"body": None, "answer_body": None, "answer_headers": None}, False),
        ({"type": "Loan*", "entity": "e2"}, {}, False),
    ],
)
def test_a_filter(filter: dict[str, Any], facts: dict[str, Any], selected: bool) -> None:
    assert matches(filter, **facts) is selected


@pytest.mark.parametrize("text", ["503", "5xx", "5XX", "none", "NONE", "42x"])
def test_a_status_is_a_number_or_a_class_or_none(text: str) -> None:
    assert check_status(text) == text.lower()


@pytest.mark.parametrize("text", ["", "50", "5034", "xxx", "0xx", "abc", "5x3x"])
def test_other_texts_are_no_status(text: str) -> None:
    with pytest.raises(ValueError, match="is no status"):
        check_status(text)
