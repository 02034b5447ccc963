"""The witness of the other tests: it must see disorder, overlaps and repeats, or they prove nothing."""

from __future__ import annotations

from array import array

from tests.support.produce import outbox_events
from tests.support.receiver_log import Arrival, PathLog, middle_rate, percentile


def arrive(log: PathLog, webhook_id: str, seq: int, status: int | None = 200, at_ns: int = 1) -> None:
    """Return one request about entity ``e``, answered before the next one arrives."""
    arrival = Arrival(at_ns, webhook_id, "e", seq, None, [], b"")
    log.arrived(arrival)
    log.ended(arrival, status)


def test_events_in_order_are_not_counted_as_inversions() -> None:
    """A gap is none either: the event before may have been parked."""
    log = PathLog(10)
    for seq in (0, 1, 5):
        arrive(log, f"id{seq}", seq)
    report = log.report()
    assert (report["accepted"], report["inversions"], report["entities"]) == (3, 0, {"e": 5})


def test_a_later_event_accepted_before_a_failed_one_is_an_inversion() -> None:
    """The order that counts is that of acceptance."""
    log = PathLog(10)
    arrive(log, "id0", 0, status=500)
    arrive(log, "id1", 1)
    assert log.report()["inversions"] == 0
    arrive(log, "id0", 0)
    assert log.report()["inversion_list"] == [{"entity": "e", "seq": 0, "after_seq": 1}]


def test_a_duplicate_is_distinguished_from_a_retry() -> None:
    """Again after 2xx is a duplicate; again after a failure, or after no answer, is right."""
    log = PathLog(10)
    for status in (500, None, 200):
        arrive(log, "id0", 0, status=status)
    assert (log.report()["retries"], log.report()["repeats"]) == (2, 0)
    arrive(log, "id0", 0, at_ns=9)
    report = log.report()
    assert report["repeat_list"] == [{"id": "id0", "accepted_ns": 1, "again_ns": 9}]
    assert (report["accepted"], report["inversions"]) == (1, 0)


def test_the_middle_rate_leaves_out_both_ends() -> None:
    """A slow start and a thin end do not count."""
    steady = [10**9 + n * 1_000 for n in range(80)]
    arrivals = array(
        "q", [n * 10**7 for n in range(10)] + steady + [2 * 10**9 + n * 10**7 for n in range(10)]
    )
    assert round(middle_rate(arrivals)) == 1_000_000
    assert percentile(array("q", range(1, 101)), 99) == 99


def test_outbox_events_follow_from_the_seed_and_repeat_byte_for_byte() -> None:
    """Ids and order are the same in every run; a producer's duplicate comes later, unchanged."""
    first = [(e.id, e.entity, e.seq) for e in outbox_events(200, entities=9, seed=3, duplicates=0.2)]
    events = list(outbox_events(200, entities=9, seed=3, duplicates=0.2))
    assert [(e.id, e.entity, e.seq) for e in events] == first
    assert len({e.id for e in events}) == 200 < len(events)
    distinct = list(dict.fromkeys(events))
    assert len(distinct) == 200  # a repeat equals its original in every byte
    for entity in {e.entity for e in events}:
        seqs = [e.seq for e in distinct if e.entity == entity]
        assert seqs == list(range(len(seqs)))
