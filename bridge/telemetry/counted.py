"""The metrics of the Prometheus client at a tenth of their cost: plain numbers, shown when they are scraped.

The client's own ones take a lock for every number. Each of these is changed by the event loop alone, or by
the garbage collector, which runs once at a time; whatever scrapes reads them. Invariant: ``collect`` yields
the samples that the client's own metrics would.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from prometheus_client import Metric
from prometheus_client.utils import INF, floatToGoString

Samples = Iterable[tuple[str, dict[str, str], float]]
"""Each a suffix of the name, further labels, and the value."""


class _Series(Protocol):
    """One series, or the several of one histogram."""

    def samples(self) -> Samples:
        """Return what is shown of it."""
        ...


SeriesT = TypeVar("SeriesT", bound=_Series)


class Counter:
    """A number that grows."""

    __slots__ = ("created_s", "value")

    def __init__(self) -> None:
        self.value: float = 0
        self.created_s = time.time()

    def inc(self, amount: float = 1) -> None:
        """Add an amount, which is not negative."""
        self.value += amount

    def samples(self) -> Samples:
        """Return what is shown of it."""
        return (("_total", {}, self.value), ("_created", {}, self.created_s))


class Gauge:
    """A number that is set, or read when it is scraped."""

    __slots__ = ("_read", "_value")

    def __init__(self) -> None:
        self._value = 0.0
        self._read: Callable[[], float] | None = None

    def set(self, value: float) -> None:
        """Show this from now on."""
        self._value = value

    def set_function(self, read: Callable[[], float]) -> None:
        """Show what ``read`` returns at each scrape from now on."""
        self._read = read

    def samples(self) -> Samples:
        """Return what is shown of it."""
        return (("", {}, self._value if self._read is None else float(self._read())),)


class Histogram:
    """How many amounts are at most each of the ``bounds``, which ascend, and their sum."""

    __slots__ = ("_bounds", "_numbers", "_sum", "created_s")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._numbers = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self.created_s = time.time()

    def observe(self, amount: float) -> None:
        """Count an amount."""
        self._numbers[bisect_left(self._bounds, amount)] += 1
        self._sum += amount

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Count many amounts: one search per bound, not one per amount."""
        ordered, numbers, counted = sorted(amounts), self._numbers, 0
        for place, bound in enumerate(self._bounds):
            before, counted = counted, bisect_right(ordered, bound, counted)
            numbers[place] += counted - before
        numbers[-1] += len(ordered) - counted
        self._sum += sum(amounts)

    def samples(self) -> Samples:
        """Return what is shown of it: the numbers are those up to each bound."""
        number = 0
        for bound, counted in zip((*self._bounds, INF), self._numbers, strict=True):
            number += counted
            le = floatToGoString(bound)  # type: ignore[no-untyped-call]  # the client has no types for it
            yield "_bucket", {"le": le}, number
        yield "_count", {}, number
        yield "_sum", {}, self._sum
        yield "_created", {}, self.created_s


class CountedFamily(Generic[SeriesT]):
    """All series of one metric, by the values of its labels; register it as a collector."""

    def __init__(
        self, name: str, help_text: str, kind: str, labels: Sequence[str], create: Callable[[], SeriesT]
    ) -> None:
        """``kind``: a type of Prometheus. ``create`` makes a series. Without labels, it is made at once."""
        self._name, self._help, self._kind = name.removesuffix("_total"), help_text, kind
        self._labels = tuple(labels)
        self._create = create
        self._series: dict[tuple[str, ...], SeriesT] = {} if labels else {(): create()}

    def labels(self, *values: str) -> SeriesT:
        """Return the series with these values, one for each label. It begins at zero."""
        key = tuple(map(str, values))
        series = self._series.get(key)
        if series is None:
            if len(key) != len(self._labels):
                raise ValueError(f"{self._name} has the labels {self._labels}, not the values {key}")
            series = self._series[key] = self._create()
        return series

    def remove(self, *values: str) -> None:
        """Show the series with these values no more, if there is one."""
        self._series.pop(tuple(map(str, values)), None)

    def clear(self) -> None:
        """Show no series that has labels until the next one is made."""
        self._series.clear()

    def collect(self) -> Iterator[Metric]:
        """Yield the metric with all its series."""
        metric = Metric(self._name, self._help, self._kind)
        for values, series in list(self._series.items()):
            labels = dict(zip(self._labels, values, strict=True))
            for suffix, more, value in series.samples():
                metric.add_sample(self._name + suffix, labels | more, value)
        yield metric
