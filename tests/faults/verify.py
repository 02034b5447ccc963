"""Compare what each endpoint received with the log and with the injected faults. Pure.

- *lost*: selected, neither accepted with 2xx nor parked, but committed as settled. *late*: the same, but
  still open when the run ended. At an endpoint without a receiver, that is *waiting*.
- *inversion*: accepted for the first time after a later event of its entity; never excused.
- *overlap*: two requests about one entity at the same time; excused if the process of the earlier one was
  killed or paused.
- *repeat*: accepted again; ``explain`` returns the cause, or "unexplained".
- *id changed*: a request with another webhook-id than that of the event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from tests.faults.commits import Commits
from tests.faults.explain import EXPIRED, UNEXPLAINED, Terms, explain_overlap, explain_repeat
from tests.faults.facts import NO_ENTITY, UNKEYED, Requests, entity_name, key_of
from tests.faults.ledger import Ledger
from tests.faults.truth import Parked, Truth

LISTED = 20
ENTITY_OF = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What an endpoint is configured to receive. ``path`` is a number, or None without a receiver."""

    name: str
    path: int | None
    types: Collection[str]
    may_park: bool = False


@dataclass(slots=True)
class Violation:
    """One violation of the guarantee."""

    kind: str
    endpoint: str
    key: int
    at_ns: int
    text: str

    @property
    def event(self) -> str:
        """Return entity and number."""
        return f"{entity_name(self.key >> 32)}/{self.key & ENTITY_OF}"


@dataclass(slots=True)
class Result:
    """The count of one endpoint."""

    endpoint: str
    wanted: int = 0
    requests: int = 0
    accepted: int = 0
    parked: int = 0
    waiting: int = 0
    """Events still open at an endpoint without a receiver: lag, as intended."""
    counts: Counter[str] = field(default_factory=Counter)
    """Violations by kind."""
    repeats: Counter[str] = field(default_factory=Counter)
    overlaps_explained: Counter[str] = field(default_factory=Counter)
    kill_ages_ms: list[float] = field(default_factory=list)
    """For repeats around a kill: ms from the first answer to the kill; negative if the answer was later."""
    violations: list[Violation] = field(default_factory=list)

    def add(self, kind: str, key: int, at_ns: int, text: str) -> None:
        """Count a violation; keep the details of the first ones of each kind."""
        self.counts[kind] += 1
        if self.counts[kind] <= LISTED:
            self.violations.append(Violation(kind, self.endpoint, key, at_ns, text))


def verify(
    endpoint: Endpoint,
    truth: Truth,
    parked: Parked,
    requests: Requests,
    ledger: Ledger,
    terms: Terms,
    settled: Callable[[str, int], bool],
    commits: Commits,
) -> Result:
    """Count one endpoint. ``settled(endpoint, place)`` reads the last commits."""
    result = Result(endpoint.name)
    rows = (
        [row for row in range(len(requests)) if requests.path[row] == endpoint.path]
        if endpoint.path is not None
        else []
    )
    result.requests = len(rows)
    accepted = _acceptances(result, endpoint, truth, requests, ledger, terms, rows, commits)
    _overlaps(result, requests, ledger, terms, rows)
    parked_places = parked.places.get(endpoint.name, set())
    for key, place in truth.places.items():
        if truth.types[key] not in endpoint.types:
            continue
        result.wanted += 1
        if key in accepted:
            continue
        if place in parked_places:
            result.parked += 1
            if not endpoint.may_park:
                cause = parked.causes.get((endpoint.name, place), "")
                result.add("parked", key, 0, f"parked, although its receiver accepts everything: {cause}")
        elif settled(endpoint.name, place):
            at_ns = commits.settled_since(endpoint.name, place) if result.counts["lost"] < LISTED else 0
            text = f"neither accepted nor parked, but committed as settled ({_place(place)})"
            result.add("lost", key, at_ns, text)
        elif endpoint.path is None:
            result.waiting += 1
        else:
            result.add("late", key, 0, f"neither accepted nor parked, and still open ({_place(place)})")
    return result


def lost_poison(truth: Truth, parked: Parked) -> list[str]:
    """Return the undecodable records that were not parked."""
    return [_place(place) for place in sorted(truth.poison - parked.places.get(None, set()))]


def _acceptances(
    result: Result,
    endpoint: Endpoint,
    truth: Truth,
    requests: Requests,
    ledger: Ledger,
    terms: Terms,
    rows: Iterable[int],
    commits: Commits,
) -> Mapping[int, int]:
    """Check order, repeats and ids; return the row of the last acceptance of each event."""
    accepted: dict[int, int] = {}
    highest: dict[int, tuple[int, int]] = {}
    for row in sorted(rows, key=lambda row: requests.ended_ns[row]):
        entity, seq = requests.entity[row], requests.seq[row]
        key = key_of(entity, seq)
        if entity == NO_ENTITY or key not in truth.places:
            result.add(
                "strange", key, requests.came_ns[row], "a request about an event that is not in the log"
            )
            continue
        if truth.types[key] not in endpoint.types:
            result.add(
                "strange",
                key,
                requests.came_ns[row],
                "a request for an event that the endpoint does not select",
            )
        if requests.id_hash[row] != truth.ids[key]:
            result.add("id changed", key, requests.came_ns[row], format_request(requests, ledger, row))
        if not 200 <= requests.status[row] < 300:
            continue
        before = accepted.get(key)
        accepted[key] = row
        if before is not None:
            place = truth.places[key]

            def committed(at_ns: int, place: int = place) -> bool:
                return commits.settled(endpoint.name, place, at_ns)

            why, age_ms = explain_repeat(
                requests, before, row, ledger, terms, endpoint.name, place, committed
            )
            if ledger.offsets_expired(
                endpoint.name, place >> 40, requests.came_ns[before], requests.came_ns[row]
            ):
                why, age_ms = EXPIRED, None
            result.repeats[why] += 1
            if age_ms is not None:
                result.kill_ages_ms.append(age_ms)
            if why == UNEXPLAINED:
                text = (
                    f"{format_request(requests, ledger, before)}\n{format_request(requests, ledger, row)}\n"
                )
                text += commits.format(endpoint.name, place, requests.ended_ns[before], requests.came_ns[row])
                result.add("unexplained repeat", key, requests.came_ns[row], text)
            continue
        result.accepted += 1
        if entity >= UNKEYED:
            continue
        last = highest.get(entity)
        if last is None or seq > last[0]:
            highest[entity] = (seq, row)
        else:
            text = f"{format_request(requests, ledger, last[1])}\n{format_request(requests, ledger, row)}"
            result.add("inversion", key, requests.ended_ns[row], text)
    return accepted


def _overlaps(result: Result, requests: Requests, ledger: Ledger, terms: Terms, rows: Iterable[int]) -> None:
    open_row: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: requests.came_ns[row]):
        entity = requests.entity[row]
        if entity >= UNKEYED:
            continue
        other = open_row.get(entity)
        if other is not None and requests.ended_ns[other] > requests.came_ns[row]:
            why = explain_overlap(requests, other, row, ledger, terms)
            if why == UNEXPLAINED:
                text = f"{format_request(requests, ledger, other)}\n{format_request(requests, ledger, row)}"
                key = key_of(entity, requests.seq[row])
                result.add("overlap", key, requests.came_ns[row], text)
            else:
                result.overlaps_explained[why] += 1
            if requests.ended_ns[other] > requests.ended_ns[row]:
                continue
        open_row[entity] = row


def format_request(requests: Requests, ledger: Ledger, row: int) -> str:
    """Return one line about a request."""
    run = ledger.runs.get(requests.run[row])
    came, ended = requests.came_ns[row], requests.ended_ns[row]
    return (
        f"{entity_name(requests.entity[row])}/{requests.seq[row]} from pod {run.name if run else '?'}"
        f": arrived {came / 1e9:.4f}, ended {ended / 1e9:.4f} ({(ended - came) / 1e6:.1f} ms), "
        f"status {requests.status[row] or 'none'}"
    )


def _place(place: int) -> str:
    return f"partition {place >> 40}, offset {place & (1 << 40) - 1}"
