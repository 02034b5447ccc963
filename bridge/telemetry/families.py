"""Metrics as plain values, which one process can send to another.

Invariant: ``read_document`` returns what ``read_registry`` read, through JSON, without values that are not
finite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, Metric


class Value(NamedTuple):
    """One series at this moment: its name with the suffix, its labels, and the value."""

    name: str
    labels: Mapping[str, str]
    value: float


class Family(NamedTuple):
    """One metric with all its series. ``kind``: a type of Prometheus. A counter's name has no ``_total``."""

    name: str
    help: str
    kind: str
    values: Sequence[Value]


def read_registry(registry: CollectorRegistry) -> list[Family]:
    """Return all metrics of a registry."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            [
                Value(sample.name, sample.labels, sample.value)
                for sample in metric.samples
                if isfinite(sample.value)
            ],
        )
        for metric in registry.collect()
    ]


def to_document(families: Iterable[Family]) -> list[list[Any]]:
    """Return lists that JSON can hold; orjson refuses named tuples."""
    return [
        [name, help_text, kind, [list(value) for value in values]]
        for name, help_text, kind, values in families
    ]


def read_document(document: Iterable[Sequence[Any]]) -> list[Family]:
    """Return the metrics in what ``to_document`` made."""
    return [
        Family(name, help_text, kind, [Value(*value) for value in values])
        for name, help_text, kind, values in document
    ]


def to_metrics(families: Iterable[Family]) -> Iterator[Metric]:
    """Yield the metrics for a registry of the Prometheus client."""
    for family in families:
        metric = Metric(family.name, family.help, family.kind)
        for value in family.values:
            metric.add_sample(value.name, dict(value.labels), value.value)
        yield metric
