"""Compare the webhooks that arrive with the promises of the demo: one check per promise. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from bridge.demo.broker import Parked
from bridge.demo.receiver import Webhook
from bridge.demo.samples import OK, Answer, Fate, Sample

Place = tuple[str, int]


class Row(NamedTuple):
    """One request that arrived. ``position`` counts from 1 within its entity; None: published by hand.

    ``again``: a person re-sent or replayed the event after the summary.
    """

    number: int
    at_s: float
    webhook: Webhook
    position: int | None
    of: int
    in_order: bool
    answer: Answer
    latency_ms: float | None
    again: bool = False


class Check(NamedTuple):
    """One promise: its subject, the result in words, and whether it was kept."""

    subject: str
    text: str
    kept: bool


class Outcome(NamedTuple):
    """What the demo reads from the broker and the bridge at the end."""

    duplicates: int
    parked: Sequence[Parked]
    log_ends: Mapping[Place, int]
    cursors: Mapping[str, Mapping[Place, int]]

    @property
    def cursors_at_end(self) -> bool:
        """Return True if every endpoint has settled every record."""
        return all(
            at.get(place) == end for at in self.cursors.values() for place, end in self.log_ends.items()
        )


class Tally:
    """Follows every entity of the samples.

    A webhook is in order if all earlier ones of its entity got their last answer (2xx or a refusal) and it
    did not yet. So a repeated delivery is out of order, too.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._plan: dict[str, list[str]] = {}
        self._answers: dict[tuple[str, str], tuple[Answer, ...]] = {}
        for sample in samples:
            if sample.makes_a_webhook:
                self._plan.setdefault(sample.entity, []).append(sample.type)
                self._answers[sample.name] = sample.answers
        self._done = dict.fromkeys(self._plan, 0)
        self._published_at: dict[tuple[str, str], float] = {}
        self._waiting: set[str] = set()
        self._overtaken = 0
        self._summed_up = False
        self.rows: list[Row] = []

    def published(self, sample: Sample, at: float) -> None:
        """Note when a record was published (monotonic seconds)."""
        self._published_at.setdefault(sample.name, at)

    @property
    def complete(self) -> bool:
        """Return True if every webhook got its last answer."""
        return all(self._done[entity] >= len(types) for entity, types in self._plan.items())

    def arrived(self, webhook: Webhook) -> Row:
        """Record a request and choose its answer."""
        entity, name = webhook.entity, (webhook.entity, webhook.type)
        types = self._plan.get(entity, [])
        known = name in self._answers
        scripted = self._answers.get(name, ())
        answer = scripted[webhook.attempt - 1] if webhook.attempt <= len(scripted) else OK
        index = types.index(webhook.type) if known else 0
        published_at = self._published_at.get(name)
        began = min(self._published_at.values(), default=webhook.at)
        row = Row(
            number=len(self.rows) + 1,
            at_s=webhook.at - began,
            webhook=webhook,
            position=index + 1 if known else None,
            of=len(types),
            in_order=not known or index == self._done[entity],
            answer=answer,
            latency_ms=None if published_at is None else (webhook.at - published_at) * 1000,
            again=known and self._summed_up,
        )
        self.rows.append(row)
        if known:
            self._follow(entity, index, answer)
        return row

    def _follow(self, entity: str, index: int, answer: Answer) -> None:
        if answer.status >= 500:
            self._waiting.add(entity)
            return
        self._overtaken += bool(self._waiting - {entity})
        self._waiting.discard(entity)
        self._done[entity] = max(self._done[entity], index + 1)

    def checks(self, outcome: Outcome) -> list[Check]:
        """Return every promise with its result, the most important first.

        A repetition that arrives later is one that a person requested.
        """
        self._summed_up = True
        return [
            self._delivered(),
            self._ordered(),
            self._signed(),
            self._skipped(outcome.duplicates),
            self._retried(),
            self._set_aside(outcome.parked),
            self._cursors(outcome),
        ]

    def _count(self, fate: Fate) -> int:
        return sum(sample.fate is fate for sample in self._samples)

    def _delivered(self) -> Check:
        wanted = {sample.name for sample in self._samples if sample.fate is Fate.DELIVERED}
        accepted = [
            (row.webhook.entity, row.webhook.type)
            for row in self.rows
            if row.position is not None and row.answer.status < 300
        ]
        missing = sorted(" ".join(name) for name in wanted - set(accepted))
        text = f"{len(set(accepted))} of {len(wanted)} webhooks, each once"
        if missing:
            text += f"; missing: {', '.join(missing)}"
        if len(accepted) > len(set(accepted)):
            text += f"; {len(accepted) - len(set(accepted))} delivered again after they were accepted"
        return Check("delivered", text, sorted(accepted) == sorted(wanted))

    def _ordered(self) -> Check:
        wrong = [f"#{row.number}" for row in self.rows if not row.in_order]
        if wrong:
            return Check("order", f"out of order: {', '.join(wrong)}", False)
        if not self.complete:
            return Check("order", "as published, but not everything arrived", False)
        return Check("order", f"as published, for each of {len(self._plan)} entities", True)

    def _signed(self) -> Check:
        valid = sum(row.webhook.signed for row in self.rows)
        text = f"{valid} of {len(self.rows)} requests valid, verified by the receiver"
        return Check("signatures", text, valid == len(self.rows) > 0)

    def _skipped(self, duplicates: int) -> Check:
        wanted = [sample for sample in self._samples if sample.fate is Fate.DUPLICATE]
        names = ", ".join(f"{sample.type} of {sample.entity}" for sample in wanted)
        text = f"{duplicates} skipped: {names} was published twice with the same idempotency key"
        return Check("duplicates", text, duplicates == len(wanted))

    def _retried(self) -> Check:
        failed = [row for row in self.rows if row.answer.status >= 500]
        planned = sum(answer.status >= 500 for answers in self._answers.values() for answer in answers)
        names = sorted({f"{row.webhook.type} of {row.webhook.entity}" for row in failed})
        entities = ", ".join(sorted({row.webhook.entity for row in failed}))
        text = (
            f"{', '.join(names) or 'nothing'}, answered with 500 {len(failed)} times:"
            f" the later events of {entities or 'no entity'} waited,"
            f" and {self._overtaken} requests of other entities did not"
        )
        return Check("retried", text, len(failed) == planned and not self._waiting)

    def _set_aside(self, parked: Sequence[Parked]) -> Check:
        wanted = self._count(Fate.REFUSED) + self._count(Fate.UNREADABLE)
        refused = sum(letter.endpoint is not None for letter in parked)
        kept = len(parked) == wanted and refused == self._count(Fate.REFUSED)
        return Check(
            "parked",
            f"{len(parked)} of {wanted} events that cannot be delivered, stored in the dead-letter topic:",
            kept,
        )

    def _cursors(self, outcome: Outcome) -> Check:
        total = sum(outcome.log_ends.values())
        texts = [
            f"{endpoint} has {sum(at.get(place, 0) for place in outcome.log_ends)} of {total}"
            for endpoint, at in outcome.cursors.items()
        ]
        text = f"committed to Kafka: {', '.join(texts)} records settled"
        return Check("cursors", text, total > 0 and outcome.cursors_at_end)

    def latency_ms(self) -> tuple[float, float, Row | None]:
        """Return the median of the events that did not wait for a retry, and the longest with its row."""
        waited = {row.webhook.entity for row in self.rows if row.answer.status >= 500}
        timed = [(row.latency_ms, row) for row in self.rows if row.latency_ms is not None]
        direct = [ms for ms, row in timed if row.webhook.entity not in waited]
        if not timed:
            return 0.0, 0.0, None
        longest, row = max(timed, key=lambda pair: pair[0])
        return median(direct) if direct else longest, longest, row
