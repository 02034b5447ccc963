"""The filters of a bulk re-send, in the record of a job."""

from __future__ import annotations

import pytest

from bridge.history.selection import AttemptFilter
from bridge.resend.query import ResendQuery, read_query


def test_a_query_is_read_from_its_job_as_it_was() -> None:
    wanted = AttemptFilter(
        endpoint="crm", type="Loan*", since_ms=1_700_000_000_123, until_ms=1_700_000_001_000, status="5xx"
    )
    query = ResendQuery(wanted, render=True, new_id=True)
    shown = query.to_json()
    assert shown == {
        "endpoint": "crm", "type": "Loan*", "status": "5xx", "since": "2023-11-14T22:13:20.123Z",
        "until": "2023-11-14T22:13:21.000Z", "render": True, "new_id": True,
    }  # fmt: skip
    assert read_query(shown) == query
    assert read_query({}) == ResendQuery(AttemptFilter())


@pytest.mark.parametrize(
    "given", [{"endpont": "crm"}, {"status": "6"}, {"since": "yesterday"}, {"since": 5}, {"entity": 4711}]
)
def test_a_query_with_a_wrong_name_or_value_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_query(given)
