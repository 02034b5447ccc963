"""What the published benchmark measures: a base cell, and cells in which one thing differs from it.

A cell is data: the runner reads it, the report prints its label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["backlog", "steady", "waiting", "idle"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement. ``events`` counts records; with several endpoints, each gets all of them.

    ``rate_per_s`` of a steady load may be a share of the rate at the base cell, then it is below 1.
    """

    name: str
    label: str
    kind: Kind = "backlog"
    events: int = 40_000
    entities: int = 1_000
    partitions: int = 4
    value_bytes: int = 1_000
    delay_ms: float = 0
    concurrency: int = 64
    tls: bool = False
    workers: int = 1
    endpoints: int = 1
    fineract: bool = False
    refuse_every: int = 0
    rate_per_s: float = 0
    seconds: float = 0


BASE = Cell("base", "receiver at once")
_SLOW = replace(BASE, concurrency=256)
_STEADY = replace(BASE, kind="steady", seconds=20)

FULL = (
    BASE,
    replace(_SLOW, name="5-ms", label="receiver takes 5 ms", delay_ms=5),
    replace(_SLOW, name="20-ms", label="receiver takes 20 ms", delay_ms=20),
    replace(_SLOW, name="50-ms", label="receiver takes 50 ms", delay_ms=50),
    replace(BASE, name="10-entities", label="10 entities", entities=10),
    replace(BASE, name="10-entities-5-ms", label="10 entities, 5 ms", entities=10, delay_ms=5, events=6_000),
    replace(BASE, name="100k-entities", label="100,000 entities", entities=100_000, events=60_000),
    replace(BASE, name="12-partitions", label="12 partitions", partitions=12),
    replace(BASE, name="10-kB", label="bodies of 10 kB", value_bytes=10_000, events=20_000),
    replace(BASE, name="100-kB", label="bodies of 100 kB", value_bytes=100_000, events=3_000),
    replace(BASE, name="tls", label="TLS", tls=True),
    replace(BASE, name="2-workers", label="two workers", workers=2, events=60_000),
    replace(BASE, name="10-endpoints", label="10 endpoints, the same events", endpoints=10, events=6_000),
    replace(BASE, name="fineract", label="Fineract, payload decoded", fineract=True),
    replace(BASE, name="503s", label="1 % of answers are 503", refuse_every=100),
    replace(_STEADY, name="500-per-s", label="500 events/s", rate_per_s=500),
    replace(_STEADY, name="2000-per-s", label="2,000 events/s", rate_per_s=2_000),
    replace(_STEADY, name="half", label="half of Hookferry's backlog rate", rate_per_s=0.5),
    replace(
        BASE,
        name="million",
        label="a million records wait, receiver takes 20 ms",
        kind="waiting",
        events=1_000_000,
        delay_ms=20,
        seconds=20,
    ),
    replace(BASE, name="idle", label="idle, 1 endpoint, 4 partitions", kind="idle", seconds=10),
    replace(
        BASE,
        name="idle-10",
        label="idle, 10 endpoints, 100 partitions",
        kind="idle",
        seconds=10,
        endpoints=10,
        partitions=100,
    ),
)

QUICK = (
    replace(BASE, events=20_000),
    replace(_SLOW, name="5-ms", label="receiver takes 5 ms", delay_ms=5, events=20_000),
    replace(_STEADY, name="500-per-s", label="500 events/s", rate_per_s=500, seconds=6),
)


def chosen(cells: tuple[Cell, ...], names: list[str], others: Iterable[str]) -> list[Cell]:
    """Return the cells with these names. Raises ``ValueError`` with all known names, and with ``others``."""
    known = {cell.name: cell for cell in cells}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"no cell {', '.join(unknown)}; there are {', '.join([*known, *others])}")
    return [known[name] for name in names]
