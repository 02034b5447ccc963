"""The router, against an oracle that asks every rule of every event and remembers nothing."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import routing
from bridge.core.filter import Filter
from bridge.core.routing import Router, Subscription
from bridge.model import Event, Partition, Record

NAMES = st.sampled_from(["Loan", "LoanPaid", "Client", "a", ""])
PATTERNS = st.lists(
    st.sampled_from(["*", "Loan*", "!LoanP*", "[LC]*", "Client", "?", "a", "!a"]), max_size=3
).map(tuple)
WHENS = st.sampled_from([None, "data.x == 1", "data.x > 1", "type == 'Loan'", "headers.h is none", "tenant"])


@dataclass
class Asked:
    """One endpoint's wishes, kept as plain values."""

    patterns: tuple[str, ...]
    sources: frozenset[str] | None
    topics: tuple[str, ...]
    tenants: tuple[str, ...]
    header: tuple[str, ...] | None
    when: str | None
    off: tuple[str, ...]


@dataclass
class Happened:
    """What an event is made of."""

    type: str
    source: str
    topic: str
    tenant: str | None
    headers: tuple[str, ...]
    x: int


ASKED = st.builds(
    Asked, PATTERNS, st.none() | st.frozensets(st.sampled_from("st"), min_size=1), PATTERNS, PATTERNS,
    st.none() | PATTERNS, WHENS, st.lists(st.sampled_from(["Loan", "Loan*", "*"]), max_size=1).map(tuple),
)  # fmt: skip
HAPPENED = st.builds(
    Happened, NAMES.filter(bool), st.sampled_from("st"), NAMES.filter(bool), st.none() | NAMES,
    st.lists(NAMES, max_size=2).map(tuple), st.integers(0, 2),
)  # fmt: skip


def matches(patterns: tuple[str, ...], text: str) -> bool:
    wanted = [one for one in patterns if not one.startswith("!")]
    if any(fnmatchcase(text, one[1:]) for one in patterns if one.startswith("!")):
        return False
    return not wanted or any(fnmatchcase(text, one) for one in wanted)


def holds(when: str | None, one: Happened) -> bool:
    return {
        None: True,
        "data.x == 1": one.x == 1,
        "data.x > 1": one.x > 1,
        "type == 'Loan'": one.type == "Loan",
        "headers.h is none": not one.headers,
        "tenant": bool(one.tenant),
    }[when]


def gets(asked: Asked, one: Happened) -> str:
    """``yes``, ``no`` or ``off``, by the plainest reading of the settings."""
    last = one.headers[-1] if one.headers else ""
    if not (
        (asked.sources is None or one.source in asked.sources)
        and matches(asked.patterns, one.type)
        and matches(asked.topics, one.topic)
        and matches(asked.tenants, one.tenant or "")
    ):
        return "no"
    if any(fnmatchcase(one.type, pattern) for pattern in asked.off):
        return "off"
    return "yes" if (asked.header is None or matches(asked.header, last)) and holds(asked.when, one) else "no"


def made(one: Happened) -> Event:
    headers = tuple(("h", text.encode()) for text in one.headers)
    record = Record(Partition(one.topic, 0), 0, 0, None, b"", headers)
    return Event(record, one.source, "id", one.type, "", None, one.tenant, None, lambda: {"x": one.x})


@settings(max_examples=300, deadline=None)
@given(st.lists(ASKED, min_size=1, max_size=5), st.lists(HAPPENED, min_size=1, max_size=12), st.booleans())
def test_the_router_agrees_with_asking_every_rule(
    rules: list[Asked], happened: list[Happened], turn_off_late: bool
) -> None:
    """Remembered routes too, and whatever was remembered before something was switched."""
    remembered, routing._REMEMBERED = routing._REMEMBERED, 3
    try:
        router = Router(
            {
                number: Subscription(
                    one.patterns, one.sources, one.topics, one.tenants,
                    {} if one.header is None else {"h": one.header}, Filter(one.when) if one.when else None,
                )
                for number, one in enumerate(rules)
            }
        )  # fmt: skip
        if turn_off_late:
            for one in happened:
                router.route(made(one))
        router.turn_off({number: one.off for number, one in enumerate(rules)})
        for one in happened * 2:
            event = made(one)
            found = router.route(event)
            taken = [target for target, passes in found.candidates if passes is None or passes(event)]
            said = [gets(rule, one) for rule in rules]
            assert taken == [number for number, word in enumerate(said) if word == "yes"]
            assert list(found.off) == [number for number, word in enumerate(said) if word == "off"]
            explained = router.explain(event)
            assert [number for number, refusal in explained.items() if refusal is None] == taken
    finally:
        routing._REMEMBERED = remembered
