"""The count of the fault harness finds each violation, and excuses only what a fault explains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.commits import Commits
from tests.faults.explain import Terms
from tests.faults.facts import FactWriter, Requests, entity_name, entity_number, key_of, read_facts
from tests.faults.gaps import delivery_gaps
from tests.faults.ledger import RUNS_PER_POD, Ledger, Run
from tests.faults.plan import WEIGHTS, make_plan
from tests.faults.truth import Parked, Truth
from tests.faults.verify import Endpoint, Result, lost_poison, verify

MS = 1_000_000
S = 1_000 * MS
T0 = 1_700_000_000 * S
SHOP = Endpoint("shop", 0, ("Created",))
STRICT = Terms(session_s=4, timeout_s=2, since_commit=False)
LAX = Terms(session_s=4, timeout_s=2, since_commit=True)


class Case:
    """A log of one entity, and the requests at the receiver; instants in ms from ``T0``."""

    def __init__(self, events: int = 3) -> None:
        self.truth = Truth()
        for seq in range(events):
            key = key_of(7, seq)
            self.truth.places[key] = seq
            self.truth.types[key] = "Created"
            self.truth.ids[key] = 100 + seq
        self.parked = Parked()
        self.requests = Requests()
        self.ledger = Ledger()
        self.committed = events
        self.commits = Commits()
        for number in (self.run(pod, life) for pod in (0, 1) for life in (1, 2)):
            self.ledger.runs[number] = Run(number, T0)

    @staticmethod
    def run(pod: int, life: int = 1) -> int:
        return pod * RUNS_PER_POD + life

    def saw(
        self,
        seq: int,
        came: float,
        took: float = 5,
        status: int = 200,
        pod: int = 0,
        id: int | None = None,
        life: int = 1,
    ) -> Case:
        came_ns = T0 + int(came * MS)
        ended_ns = came_ns + int(took * MS)
        webhook_id = 100 + seq if id is None else id
        self.requests.add(0, self.run(pod, life), came_ns, ended_ns, status, 7, seq, webhook_id)
        return self

    def killed(self, at: float, pod: int = 0) -> Case:
        self.ledger.runs[self.run(pod)].killed_ns = T0 + int(at * MS)
        return self

    def stopped(self, at: float, until: float, pod: int = 0) -> Case:
        self.ledger.runs[self.run(pod)].stops.append((T0 + int(at * MS), T0 + int(until * MS)))
        return self

    def timed_out(self, began: float, ended: float) -> Case:
        at = T0 + int(began * MS), T0 + int(ended * MS)
        self.ledger.timeouts[(0, "shop", 0)] = [at]
        return self

    def told(self, *at: float) -> Case:
        """The log of pod 0 tells at these instants that event 0 was delivered, and nothing else."""
        self.ledger.told = {(0, "shop", 0): [T0 + int(one * MS) for one in at]}
        return self

    def commit(self, at: float, offset: int = 1) -> Case:
        self.commits.add("shop", 0, T0 + int(at * MS), offset, "")
        return self

    def count(self, terms: Terms = STRICT, endpoint: Endpoint = SHOP) -> Result:
        return verify(
            endpoint, self.truth, self.parked, self.requests, self.ledger, terms,
            lambda _, place: place < self.committed, self.commits,
        )  # fmt: skip


def broken(result: Result) -> dict[str, int]:
    return dict(result.counts)


def test_each_event_once_and_in_order_is_no_violation() -> None:
    result = Case().saw(0, 0).saw(1, 10).saw(2, 20).count()
    assert (broken(result), result.accepted, result.wanted, result.repeats.total()) == ({}, 3, 3, 0)


def test_a_missing_event_is_lost_if_the_cursor_passed_it_and_late_otherwise() -> None:
    case = Case().saw(0, 0).saw(1, 10, status=500)
    assert broken(case.count()) == {"lost": 2}
    case.committed = 1
    assert broken(case.count()) == {"late": 2}


def test_a_parked_event_is_not_lost_but_is_a_violation_where_parking_is_not_expected() -> None:
    case = Case().saw(0, 0).saw(2, 10)
    case.parked.places["shop"] = {1}
    assert broken(case.count()) == {"parked": 1}
    assert broken(case.count(endpoint=Endpoint("shop", 0, ("Created",), may_park=True))) == {}
    case.parked.places = {"other": {1}}
    assert broken(case.count()) == {"lost": 1}


def test_a_later_event_accepted_first_is_an_inversion_even_after_a_kill() -> None:
    case = Case().saw(0, 0, status=500).saw(1, 10).saw(0, 20).saw(2, 30).killed(5)
    assert broken(case.count(LAX)) == {"inversion": 1}


def test_a_repeat_in_order_is_no_inversion() -> None:
    case = Case().saw(0, 0).saw(1, 10).saw(0, 20, pod=1).saw(1, 30, pod=1).saw(2, 40, pod=1).killed(15)
    assert broken(case.count()) == {}


def test_two_simultaneous_requests_of_one_entity_are_an_overlap() -> None:
    assert broken(Case().saw(0, 0, took=20).saw(1, 10, took=15).saw(2, 50).count()) == {"overlap": 1}
    assert broken(Case().saw(0, 0, took=10).saw(1, 10).saw(2, 50).count()) == {}


def test_a_long_request_overlaps_with_every_request_during_it() -> None:
    assert broken(Case().saw(0, 0, took=100).saw(1, 10).saw(2, 50).count())["overlap"] == 2


@pytest.mark.parametrize("fault", ["killed", "stopped"])
def test_an_overlap_with_a_request_of_a_killed_or_paused_process_is_excused(fault: str) -> None:
    case = Case().saw(0, 0, took=500, status=0).saw(0, 300, pod=1).saw(1, 320, pod=1).saw(2, 330, pod=1)
    case.killed(100) if fault == "killed" else case.stopped(100, 9_000)
    result = case.count()
    assert broken(result) == {}
    assert result.overlaps_explained.total() == 3


def test_an_overlap_with_a_request_begun_after_the_pause_is_not_excused() -> None:
    """A pod resumed and sent a request, although another pod owned its partitions."""
    case = (
        Case().saw(0, 0).stopped(100, 8_000).saw(1, 8_010, took=50).saw(1, 8_020, pod=1).saw(2, 8_030, pod=1)
    )
    assert broken(case.count())["overlap"] == 2
    assert broken(case.count(LAX)) == {}


REPEATS: list[tuple[str, Callable[[Case], Any], str, str]] = [
    ("without any fault", lambda case: None, "unexplained", "unexplained"),
    ("killed in flight", lambda case: case.killed(3), "in flight at a kill", "in flight at a kill"),
    ("killed at once after", lambda case: case.killed(20), "in flight at a kill", "in flight at a kill"),
    ("killed later", lambda case: case.killed(600), "unexplained", "not committed at a kill"),
    (
        "killed while its loop was busy",
        lambda case: (case.killed(600), case.ledger.delays.append((T0 + 900 * MS, 0, 0.7))),
        "in flight at a kill",
        "in flight at a kill",
    ),
    (
        "killed before it read the answer",
        lambda case: (case.killed(2_600), case.told()),
        "in flight at a kill",
        "in flight at a kill",
    ),
    (
        "killed after it read the answer",
        lambda case: (case.killed(2_600), case.told(2_500)),
        "unexplained",
        "not committed at a kill",
    ),
    (
        "read late, when its client had given up",
        lambda case: case.timed_out(-3_000, 40),
        "its client had given up",
        "its client had given up",
    ),
    ("its client gave up too early", lambda case: case.timed_out(-300, 40), "unexplained", "unexplained"),
    ("another request timed out", lambda case: case.timed_out(40, 3_000), "unexplained", "unexplained"),
    ("its answer never read, and not killed", lambda case: case.told(), "unexplained", "unexplained"),
    (
        "the loop of another was busy",
        lambda case: (case.killed(600), case.ledger.delays.append((T0 + 100 * MS, 1, 0.7))),
        "unexplained",
        "not committed at a kill",
    ),
    (
        "its loop was busy at another time",
        lambda case: (case.killed(600), case.ledger.delays.append((T0 + 9 * S, 0, 0.7))),
        "unexplained",
        "not committed at a kill",
    ),
    ("killed long after", lambda case: case.killed(11_000), "unexplained", "unexplained"),
    ("committed, then killed", lambda case: case.commit(500).killed(600), "unexplained", "unexplained"),
    (
        "committed too late",
        lambda case: case.killed(600).commit(700),
        "unexplained",
        "not committed at a kill",
    ),
    ("found after it", lambda case: case.killed(-200), "in flight at a kill", "in flight at a kill"),
    ("stopped in flight", lambda case: case.stopped(3, 500), "in flight at a stop", "in flight at a stop"),
    ("another was killed", lambda case: case.killed(3, pod=1), "unexplained", "unexplained"),
    (
        "broker away",
        lambda case: case.ledger.broker_away.append((T0 - 2 * S, T0 + 2 * S)),
        "unexplained",
        "no broker to commit to",
    ),
    (
        "receiver killed",
        lambda case: case.ledger.receiver_away.append((T0 + 6 * MS, T0 + S)),
        "answer lost with the receiver",
        "answer lost with the receiver",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fault", "strict", "lax"), REPEATS, ids=[row[0] for row in REPEATS])
def test_a_repeat_on_the_same_disk_is_explained_only_by_faults_of_its_process(
    name: str, fault: Callable[[Case], Any], strict: str, lax: str
) -> None:
    case = Case(1).saw(0, 0).saw(0, 9_000, life=2)
    fault(case)
    for terms, why in ((STRICT, strict), (LAX, lax)):
        result = case.count(terms)
        assert dict(result.repeats) == {why: 1}, name
        assert broken(result) == ({"unexplained repeat": 1} if why == "unexplained" else {})


def test_a_repeat_by_another_pod_after_a_lost_session_has_a_reason_of_its_own() -> None:
    case = Case(1).saw(0, 0).saw(0, 9_000, pod=1)
    assert dict(case.count().repeats) == {"unexplained": 1}
    case.ledger.lost_sessions.append((T0 + 6 * S, 1))
    assert dict(case.count().repeats) == {"unexplained": 1}, "the session of the other pod"
    case.ledger.lost_sessions.append((T0 + 6 * S, 0))
    assert dict(case.count().repeats) == {"its pod lost its session": 1}


def test_a_request_of_a_dead_process_was_in_flight_however_late_it_is_read() -> None:
    case = Case(1).saw(0, 0, pod=1).saw(0, 900).killed(600)
    assert dict(case.count().repeats) == {"in flight at a kill or stop, read late": 1}
    case = Case(2).saw(0, 0, pod=1).saw(1, 800, pod=1, took=200).saw(0, 900).killed(600)
    result = case.count()
    assert (broken(result), result.overlaps_explained.total()) == ({}, 1)
    case = Case(1).saw(0, 900).saw(0, 2_000, life=2).killed(600)
    assert dict(case.count().repeats) == {"in flight at a kill": 1}


def test_a_process_on_another_disk_may_repeat_everything_uncommitted() -> None:
    """So may a process on the same disk after its files were removed."""
    other = Case(1).saw(0, 0).saw(0, 9_000, pod=1).killed(600)
    assert dict(other.count().repeats) == {"not committed at a kill": 1}
    same = Case(1).saw(0, 0).saw(0, 9_000, life=2).killed(600)
    same.ledger.disks_touched.append((T0 + 700 * MS, 0))
    assert dict(same.count().repeats) == {"not committed at a kill": 1}
    same.ledger.disks_touched = [(T0 + 700 * MS, 1)]
    assert dict(same.count().repeats) == {"unexplained": 1}


def test_a_changed_webhook_id_and_a_request_about_an_unknown_event_are_violations() -> None:
    case = Case(1).saw(0, 0, status=500).saw(0, 10, id=5).saw(9, 20)
    assert broken(case.count()) == {"id changed": 1, "strange": 1}


def test_a_request_for_an_unselected_event_is_a_violation() -> None:
    case = Case(1).saw(0, 0)
    case.truth.types[key_of(7, 0)] = "Closed"
    result = case.count()
    assert (broken(result), result.wanted) == ({"strange": 1}, 0)


def test_an_undecodable_record_must_be_parked() -> None:
    truth, parked = Truth(poison={3, 1 << 40}), Parked(places={None: {3}, "shop": {1 << 40}})
    assert lost_poison(truth, parked) == ["partition 1, offset 0"]


def test_recorded_requests_survive_a_kill_of_the_receiver(tmp_path: Path) -> None:
    """Unfinished requests end unanswered with the process; the numbers of the next one start again."""
    first = FactWriter(tmp_path / "0")
    first.ended(T0 + 5, first.came(T0, 1, 2, entity_number("e7"), 3, 4), 200)
    first.came(T0 + 6, 1, 2, entity_number("n7"), 0, 5)
    second = FactWriter(tmp_path / "1")
    second.ended(T0 + 30, second.came(T0 + 20, 0, 2, 8, 1, 6), 503)
    (tmp_path / "1").write_bytes((tmp_path / "1").read_bytes() + b"half a line")
    requests = read_facts([(tmp_path / "0", T0 + 9), (tmp_path / "1", T0 + 99), (tmp_path / "none", 0)])
    assert list(requests.status) == [200, 0, 503]
    assert list(requests.ended_ns) == [T0 + 5, T0 + 9, T0 + 30]
    assert [entity_name(one) for one in requests.entity] == ["e7", "n7", "e8"]


def test_the_same_seed_returns_the_same_plan_with_every_kind_of_fault() -> None:
    options: dict[str, Any] = {"seconds": 600, "faults": 40, "pods": 3, "session_s": 4, "full_disk_pod": 1}
    plan = make_plan(5, **options)
    assert plan == make_plan(5, **options) != make_plan(6, **options)
    assert {fault.kind for fault in plan} == set(WEIGHTS)
    assert len(plan) == 40
    ends: dict[str, float] = {}
    for fault in plan:
        assert fault.at_s >= ends.get(fault.target, 0), "two simultaneous faults of one target"
        ends[fault.target] = fault.at_s + fault.for_s


def test_an_open_event_without_a_receiver_is_lag_and_not_late() -> None:
    case = Case()
    case.committed = 1
    case.parked.places["shop"] = {0}
    result = case.count(endpoint=Endpoint("shop", None, ("Created",), may_park=True))
    assert (result.parked, result.waiting) == (1, 2)
    assert not result.counts


def test_a_committed_event_without_a_receiver_that_is_not_parked_is_lost() -> None:
    result = Case().count(endpoint=Endpoint("shop", None, ("Created",), may_park=True))
    assert result.counts["lost"] == 3


def test_a_gap_starts_at_the_kill_of_the_pod_that_owned_the_partition() -> None:
    """Only kills followed by an immediate restart count."""
    case = Case().saw(0, came=0).killed(100).saw(1, came=1_600)
    case.ledger.runs[case.run(0, 2)].began_ns = T0 + 200 * MS
    gaps = delivery_gaps(case.ledger, case.requests, case.truth, 0, lambda pod: pod == 0)
    assert gaps == {"configured": [1.5], "default": []}
    case.ledger.runs[case.run(0, 2)].began_ns = T0 + 900 * MS
    assert delivery_gaps(case.ledger, case.requests, case.truth, 0, lambda pod: True)["configured"] == []


def test_a_disk_does_not_count_for_a_partition_that_another_pod_owned_in_between() -> None:
    """Uncommitted events may repeat then. Without another owner in between, the journal contains them."""
    case = Case().saw(0, came=0).killed(500).saw(0, came=9_000, life=2).saw(1, came=9_100).saw(2, came=9_200)
    assert case.count().repeats == {"unexplained": 1}
    case.ledger.assignments = [(T0 + 4_000 * MS, 1, frozenset({5}))]
    assert case.count().repeats == {"unexplained": 1}, "another partition"
    case.ledger.assignments = [(T0 + 4_000 * MS, 1, frozenset({0}))]
    assert case.count().repeats == {"not committed at a kill": 1}
    case.commit(400, offset=3)
    assert case.count().repeats == {"unexplained": 1}, "it was committed"
