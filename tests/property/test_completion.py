"""The completion map: exact if it fits; if not, it forgets settled work and invents none."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.completion_map import (
    LIMIT_BYTES,
    Completion,
    DamagedMapError,
    Failures,
    _checksum,
    decode,
    encode,
    topic_id_of,
)

OFFSETS = st.integers(0, 2**62)


@st.composite
def progresses(draw: st.DrawFn) -> tuple[int, list[int], int]:
    """Return an offset, the open ones from it on, and an end."""
    offset = draw(OFFSETS)
    furthest = draw(st.sampled_from([2, 5, 400]))
    deltas = draw(st.lists(st.integers(1, furthest), max_size=300))
    opens, at = [offset], offset
    for delta in deltas:
        at += delta
        opens.append(at)
    return offset, opens, at + draw(st.integers(1, 500))


@given(progresses())
@settings(deadline=None)
def test_what_was_settled_is_read_back_exactly(progress: tuple[int, list[int], int]) -> None:
    offset, opens, end = progress
    text, fits = encode(offset, opens, end, limit_bytes=1_000_000)
    assert fits
    done = decode(offset, text)
    for one in range(offset, end + 3):
        assert done.settled(one) == (one not in opens and one < end)


@given(st.integers(0, 2**32), st.integers(12, 120), st.floats(0.1, 0.9))
@settings(deadline=None)
def test_a_truncated_map_never_lists_an_open_event_as_settled(seed: int, limit: int, share: float) -> None:
    """A thousand offsets, open or settled at random, are always too many for the limit."""
    toss = random.Random(seed)
    opens = [7, *(one for one in range(8, 1007) if toss.random() < share)]
    text, fits = encode(7, opens, 1008, limit_bytes=limit)
    assert not fits
    assert len(text) <= limit
    done = decode(7, text)
    assert not any(done.settled(one) for one in opens)
    assert not done.settled(1008)


@given(progresses(), st.data())
@settings(deadline=None)
def test_a_damaged_or_foreign_map_is_refused(
    progress: tuple[int, list[int], int], data: st.DataObject
) -> None:
    """Flip a byte, cut the end, or decode it for another offset: refused."""
    text, _ = encode(*progress)
    if not text:
        return
    raw = bytearray(base64.b64decode(text[2:]))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    flipped = text[:2] + base64.b64encode(raw).decode()
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    for damaged, offset in ((flipped, progress[0]), (cut, progress[0]), (text, progress[0] + 1)):
        with pytest.raises(DamagedMapError):
            decode(offset, damaged)


@given(
    st.text(max_size=200)
    | st.binary(max_size=200).map(lambda raw: "h1" + base64.b64encode(raw).decode())
    | st.binary(max_size=200).map(lambda raw: "h2" + base64.b64encode(raw).decode())
)
def test_any_text_is_refused_or_read_in_bounds(text: str) -> None:
    try:
        done = decode(7, text)
    except DamagedMapError:
        return
    assert done.end - done.offset <= 8 * 1024 * 1024


PARTS = st.dictionaries(st.integers(7, 400), st.frozensets(st.integers(1, 300), min_size=1), max_size=12)


@given(PARTS)
@settings(deadline=None)
def test_the_settled_events_of_open_records_are_read_back_exactly(parts: dict[int, frozenset[int]]) -> None:
    failures = {(7, 0): Failures(3, 5), (9, 4): Failures(1, 6), (9, 5): Failures(2, 6)}
    text, _ = encode(7, [7], 401, failures, parts, limit_bytes=1_000_000)
    done = decode(7, text)
    assert done.parts == parts
    assert done.failures == failures
    assert decode(7, encode(7, [], 7, None, parts, limit_bytes=1_000_000)[0]).parts == parts


@given(PARTS, st.integers(12, 300))
@settings(deadline=None)
def test_parts_that_do_not_fit_are_forgotten_and_never_invented(
    parts: dict[int, frozenset[int]], limit: int
) -> None:
    text, _ = encode(7, [7], 8, {(7, 0): Failures(1, 1)}, parts, limit_bytes=limit)
    assert len(text) <= limit
    decoded = decode(7, text).parts
    assert decoded.items() <= parts.items()


def test_a_map_with_more_events_than_allowed_is_refused() -> None:
    body = bytearray((4, 2, 0, 0)) + bytearray((8, 0, 2, 0, 255, 255, 255, 255, 15))
    text = "h1" + base64.b64encode(_checksum(7, body) + body).decode()
    with pytest.raises(DamagedMapError, match="more events"):
        decode(7, text)


def test_a_map_with_nothing_settled_beyond_the_offset_is_empty() -> None:
    assert encode(10, [], 10) == ("", True)
    assert encode(10, [10, 11, 12], 13) == ("", True)
    assert decode(10, "") == Completion(10, 10)


def test_twenty_thousand_randomly_settled_events_fit_the_brokers_limit() -> None:
    """The worst case, a coin toss per offset, takes the bitmap: one bit each, in base64."""
    toss = random.Random(1)
    opens = [0, *(one for one in range(1, 22_000) if toss.random() < 0.5)]
    text, fits = encode(0, opens, 22_000)
    assert fits
    assert len(text) <= LIMIT_BYTES
    done = decode(0, text)
    assert done.open_offsets == {one for one in opens if one < done.end}


def test_one_open_event_below_a_million_settled_ones_is_a_short_map() -> None:
    text, fits = encode(0, [0], 1_000_000)
    assert fits
    assert len(text) < 40


@given(progresses(), st.binary(min_size=16, max_size=16), st.integers(60, 4096))
@settings(deadline=None)
def test_a_commit_names_its_topic_and_still_fits(
    progress: tuple[int, list[int], int], raw_id: bytes, limit: int
) -> None:
    offset, opens, end = progress
    topic_id = base64.urlsafe_b64encode(raw_id).decode().rstrip("=")
    text, fits = encode(offset, opens, end, limit_bytes=limit, topic_id=topic_id)
    assert len(text) <= limit
    assert topic_id_of(offset, text) == topic_id
    done = decode(offset, text)
    assert not any(done.settled(one) for one in opens)
    if fits:
        assert done == decode(offset, encode(offset, opens, end, limit_bytes=1_000_000).text)


def test_a_commit_without_a_topic_names_none() -> None:
    for text in ("", "h2", "h2AAAA", "h1AAAA", encode(7, [7], 9).text, encode(7, [], 7).text):
        assert topic_id_of(7, text) is None
    named = encode(7, [], 7, topic_id="AAAAAAAAAAAAAAAAAAAAAQ").text
    assert topic_id_of(7, named) == "AAAAAAAAAAAAAAAAAAAAAQ"
    assert topic_id_of(8, named) is None, "the checksum is of another offset"
