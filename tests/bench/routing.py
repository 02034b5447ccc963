"""Cost of routing one event with 1, 10 and 50 endpoints, and of a filter, in microseconds.

    python -m tests.bench.routing [--events N]

One process without I/O: a route and its filters, evaluated as in the pipeline. The payload is decoded
already. The figure is CPU time, the best of five rounds, which other work on the machine affects least.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from bridge.core.filter import Filter
from bridge.core.routing import Router, Subscription
from bridge.model import Event, Partition, Record

TYPES = [f"Loan{number}BusinessEvent" for number in range(50)]
LOAN: dict[str, Any] = {
    **{f"field{number}": Decimal("123.45000000") for number in range(60)},
    **{f"kind{number}": {"id": number, "code": f"code.{number}", "value": "x"} for number in range(20)},
    "principal": Decimal("1500.00000000"),
    "currency": {"code": "USD", "name": "US Dollar", "decimalPlaces": 2},
    "status": {"id": 300, "code": "loanStatusType.active", "value": "Active"},
    "clientName": "Ada Lovelace",
    "lines": [{"sku": "a"}, {"sku": "b"}],
    "written": "1500.00",
}
FILTERS = (
    'data.principal > 1000 and data.currency.code == "USD"',
    "data.principal > 1000",
    "data.principal > 1000.5",
    'data.status.code in ["loanStatusType.active", "loanStatusType.closed"]',
    'data.clientName.startswith("Ada")',
    "data.written | number > 1000",
    "data.principal - data.field1 * 2 > 500",
    "data.absent > 5",
    'type == "Other" and data.principal > 1000',
    'tenant == "acme"',
    'headers.region == "eu-1"',
)
"""The limit of 5 microseconds applies to the first one."""


def events() -> list[Event]:
    """Return one event of each type."""
    record = Record(Partition("external-events", 3), 42, 0, b"k", b"v", (("region", b"eu-1"),))
    return [
        Event(record, "fineract", "id", type_, "", "42", "default", None, lambda: LOAN) for type_ in TYPES
    ]


def hand_over(router: Router[str], given: Sequence[Event]) -> int:
    """Evaluate a route as ``Pipeline`` does; return the number of deliveries."""
    count = 0
    for event in given:
        for _, passes in router.route(event).candidates:
            if passes is None or passes(event):
                count += 1
    return count


def best_us(work: Callable[[], object], times: int) -> float:
    """Return the CPU microseconds of one of ``times`` calls, the best of five rounds."""
    rounds = []
    for _ in range(5):
        began = time.process_time()
        work()
        rounds.append(time.process_time() - began)
    return min(rounds) / times * 1e6


def routers(endpoints: int) -> dict[str, Router[str]]:
    """Return routers for the usual ways to distribute events among the endpoints."""
    names = [f"endpoint{number}" for number in range(endpoints)]
    one_type = {name: Subscription((TYPES[at % 50],)) for at, name in enumerate(names)}
    tenants = {name: Subscription(tenants=(f"tenant{at}",)) for at, name in enumerate(names)}
    filtered = {
        name: Subscription((TYPES[at % 50],), when=Filter(FILTERS[0])) for at, name in enumerate(names)
    }
    return {
        "each selects one type of fifty": Router(one_type),
        "each selects one tenant, not this one": Router(tenants),
        "each selects one type, with a filter": Router(filtered),
        "all select everything": Router({name: Subscription() for name in names}),
        "all select everything, with a filter": Router(
            {name: Subscription(when=Filter(FILTERS[0])) for name in names}
        ),
    }


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    count = parser.parse_args().events
    given = (events() * (count // len(TYPES) + 1))[:count]
    print(f"{'CPU us per event, endpoints':<44}{'1':>8}{'10':>8}{'50':>8}")
    columns = [routers(endpoints) for endpoints in (1, 10, 50)]
    for name in columns[0]:
        costs = [best_us(lambda router=column[name]: hand_over(router, given), count) for column in columns]  # type: ignore[misc]
        print(f"{name:<44}" + "".join(f"{cost:>8.2f}" for cost in costs))
    print(f"\n{'filter':<78}{'us':>6}")
    for text in FILTERS:
        matches, event = Filter(text).matches, given[0]
        cost = best_us(lambda: [matches(event) for _ in range(count)], count)  # noqa: B023
        print(f"{text:<78}{cost:>6.2f}")


if __name__ == "__main__":
    main()
