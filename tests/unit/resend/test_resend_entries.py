"""An attempt becomes a request to send it again, exactly; or it is refused, with cause and remedy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.url import parse_url
from bridge.dead_letters.letter import to_letter
from bridge.dead_letters.park import letter_facts
from bridge.errors import DecodeError, RenderError
from bridge.formats.resent import AgainDecoder, ResentDecodeError
from bridge.formats.stored_request import read_stored, write_stored
from bridge.history.attempt import Kept
from bridge.history.batch import decode
from bridge.model import Event, LaneKey, Partition, Record, StoredRequest
from bridge.rendering.request import TargetTemplate, split_expressions
from bridge.rendering.stored import StoredRenderer
from bridge.resend.entries import Refusal, Targets, refusal, request_id, stored_entry
from tests.support.attempts import attempt_at, batch_record

TARGETS = Targets("g.again", 8, {"crm"}, lambda topic: topic == "orders")
URL = parse_url("https://crm.test/hooks/today")
NAMES = st.from_regex(rb"\A[A-Za-z][A-Za-z0-9-]{0,20}\Z")
VALUES = (
    st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\x00\r\n")).filter(lambda v: v != b"***")
)
PARTS = st.one_of(
    st.binary(min_size=1, max_size=30), st.text(min_size=1, max_size=30).filter(str.isprintable)
)


def recorded(**facts: Any) -> Kept:
    """Return an attempt as the topic of the history has it."""
    (kept,) = decode(batch_record(7, attempt_at(1, **facts)))[1]
    return kept


def arrived(kept: Kept, **options: Any) -> Event:
    """Return the event that the bridge reads for a re-send of an attempt."""
    entry = stored_entry(kept, TARGETS, request_id("job", kept), **options)
    assert entry.partition is not None
    record = Record(Partition("g.again", entry.partition), 5, 1, entry.key, entry.value, tuple(entry.headers))
    (event,) = AgainDecoder(lambda topic: None, {"crm"}).decode(record)
    assert isinstance(event, Event)
    return event


@given(
    body=st.binary(max_size=300),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=6),
    part=PARTS,
    tenant=st.one_of(st.none(), st.text(max_size=10)),
    method=st.sampled_from(["POST", "PUT", "PATCH"]),
)
def test_what_is_sent_again_has_the_bytes_of_the_attempt(
    body: bytes, headers: list[tuple[bytes, bytes]], part: bytes | str, tenant: str | None, method: str
) -> None:
    lines = b"\n".join(name + b": " + value for name, value in [*headers, (b"webhook-signature", b"v1,x")])
    lane = ("orders", 3, part, tenant or "")
    kept = recorded(
        body=body, body_bytes=len(body), headers=lines, own_headers=len(headers), lane=lane, tenant=tenant,
        method=method,
    )  # fmt: skip
    assert refusal(kept, TARGETS, render=False) is None
    event = arrived(kept)
    rendered = StoredRenderer(URL, "***").render(event)
    assert rendered == (method, URL, tuple(headers), body)
    assert event.lane == lane
    assert (event.origin.partition, event.origin.offset) == (Partition("orders", 3), 17)
    assert (event.webhook_id, event.tenant) == ("msg_1", tenant)


def test_the_number_of_an_event_of_a_record_and_its_own_lane_are_kept() -> None:
    event = arrived(recorded(event_index=4, lane=("orders", 3, 17, "bulk")))
    assert (event.index, event.lane) == (4, ("orders", 3, 17, "bulk"))
    assert arrived(recorded(lane=None)).lane is None


def test_a_resend_of_a_resend_goes_back_to_the_first_record() -> None:
    again = recorded(topic="g.again", offset=900, origin="my-orders-3@12", origin_ms=99, again_id="x")
    event = arrived(again)
    assert event.origin.place == "my-orders-3@12"
    assert event.origin.timestamp_ms == 99


def test_a_new_webhook_id_is_another_one_for_each_request_and_the_same_when_a_job_is_repeated() -> None:
    kept = recorded()
    assert arrived(kept, new_id=True).webhook_id == f"again_{request_id('job', kept)}"
    assert request_id("job", kept) != request_id("other", kept)


def test_the_data_of_such_an_event_is_not_decoded() -> None:
    with pytest.raises(DecodeError, match="as it was"):
        arrived(recorded()).payload()


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"body": None}, Refusal.BODY_NOT_KEPT),
        ({"body": None, "body_sha256": "ab"}, Refusal.BODY_TOO_LARGE),
        ({"body_masked": True}, Refusal.BODY_MASKED),
        ({"headers": b"content-type: a\nx-key: ***", "own_headers": 2}, Refusal.HEADER_MASKED),
        ({"headers": b"content-type: a\nx-key: ***", "own_headers": 1}, None),
        ({"own_headers": None}, Refusal.EARLIER_RELEASE),
        ({"partition": 8}, Refusal.NO_PARTITION),
    ],
)
def test_what_cannot_be_sent_as_it_was_is_refused(facts: dict[str, Any], reason: Refusal | None) -> None:
    kept = recorded(**facts)
    found = refusal(kept, TARGETS, render=False)
    assert found is reason
    if reason is not None and reason is not Refusal.NO_PARTITION:
        assert "--render" in reason.remedy
        assert refusal(kept, TARGETS, render=True) is None


def test_an_endpoint_or_a_source_that_is_gone_is_refused() -> None:
    kept = recorded()._replace(endpoint="old")
    assert refusal(kept, TARGETS, render=False) is Refusal.NO_ENDPOINT
    elsewhere = recorded(topic="payments")
    assert refusal(elsewhere, TARGETS, render=False) is None, "nothing is decoded"
    assert refusal(elsewhere, TARGETS, render=True) is Refusal.NO_SOURCE


def test_a_dead_letter_keeps_the_stored_request_and_the_link() -> None:
    event = arrived(recorded())
    assert event.resend is not None
    facts = {f"hookferry-{name}": fact.encode() for name, fact in letter_facts(event, 2).items()}
    needed = {"topic": "orders", "partition": "3", "offset": "17", "timestamp-ms": "1", "parked-at-ms": "2",
              "cause": "status 400"}  # fmt: skip
    facts |= {f"hookferry-{name}": fact.encode() for name, fact in needed.items()}
    origin = event.origin
    record = Record(Partition("g.parked", 0), 4, 1, origin.key, origin.value, tuple(facts.items()))
    letter = to_letter(record)
    assert letter is not None
    assert letter.stored == event.resend.stored
    assert letter.repeats == "0:7:0"
    assert letter.origin.value == origin.value


def test_a_request_for_an_endpoint_that_is_gone_is_parked_for_it_with_its_stored_request() -> None:
    kept = recorded()._replace(endpoint="old")
    with pytest.raises(ResentDecodeError, match="no endpoint 'old'") as caught:
        arrived(kept)
    assert caught.value.resend.stored is not None


STORED = StoredRequest("POST", "https://x/***", ((b"a", b"b"),), "i", "T", "t", None, None, None)


@pytest.mark.parametrize(
    "stored",
    [
        STORED._replace(method="GET / HTTP/1.1\r\nX"),
        STORED._replace(headers=((b"a\r\nHost", b"b"),)),
        STORED._replace(headers=((b"a", b"b\r\nX: y"),)),
        STORED._replace(headers=((b"", b"b"),)),
        STORED._replace(id=None),
        STORED._replace(entity=5),
    ],
)
def test_a_text_that_would_break_a_request_is_refused(stored: StoredRequest) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_stored(write_stored(stored))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"lane":3}', "null"])
def test_a_text_that_is_no_stored_request_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no stored request"):
        read_stored(text)


@given(st.tuples(PARTS, st.text(max_size=9)), st.text(max_size=20), st.text(max_size=20))
def test_a_stored_request_is_read_as_it_was_written(
    lane: tuple[bytes | str, str], id_: str, entity: str
) -> None:
    stored = STORED._replace(id=id_, entity=entity, lane=LaneKey("orders", 3, *lane))
    assert read_stored(write_stored(stored)) == stored


def with_url(shown: str) -> Event:
    return arrived(recorded(url=shown))


def template(text: str) -> TargetTemplate:
    plain, expressions = split_expressions(text)
    return TargetTemplate(parse_url(plain), expressions)


@pytest.mark.parametrize(
    ("url", "shown", "target"),
    [
        ("https://a.test/k/{{ entity }}?key=s3cr3t", "https://old:443/***/e1?***=***", "/k/e1?key=s3cr3t"),
        ("https://a.test/{{ type }}/x/{{ entity }}", "https://old:443/T/***/e%2F1", "/T/x/e%2F1"),
        ("https://a.test/{{ entity }}", "https://old:443/", "/"),
    ],
)
def test_a_url_gets_the_values_of_the_attempt_and_the_rest_from_todays_configuration(
    url: str, shown: str, target: str
) -> None:
    assert StoredRenderer(template(url), "***").render(with_url(shown)).url.target == target


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.test/v2/k/{{ entity }}", "https://old:443/***/e1"),
        ("https://a.test/{{ type }}/{{ entity }}", "https://old:443/T/e/1"),
        ("https://a.test/{{ entity }}", "https://old:443"),
    ],
)
def test_a_url_of_another_form_or_with_two_readings_is_refused(url: str, shown: str) -> None:
    with pytest.raises(RenderError, match="--render"):
        StoredRenderer(template(url), "***").render(with_url(shown))
