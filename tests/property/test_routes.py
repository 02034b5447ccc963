"""The router, against an oracle that evaluates every rule for every event and remembers nothing."""

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
class Rules:
    """One endpoint's subscription, as plain values."""

    patterns: tuple[str, ...]
    sources: frozenset[str] | None
    topics: tuple[str, ...]
    tenants: tuple[str, ...]
    header: tuple[str, ...] | None
    when: str | None
    off: tuple[str, ...]


@dataclass
class Facts:
    """The fields of an event that rules read."""

    type: str
    source: str
    topic: str
    tenant: str | None
    headers: tuple[str, ...]
    x: int


RULES = st.builds(
    Rules, PATTERNS, st.none() | st.frozensets(st.sampled_from("st"), min_size=1), PATTERNS, PATTERNS,
    st.none() | PATTERNS, WHENS, st.lists(st.sampled_from(["Loan", "Loan*", "*"]), max_size=1).map(tuple),
)  # fmt: skip
FACTS = st.builds(
    Facts, NAMES.filter(bool), st.sampled_from("st"), NAMES.filter(bool), st.none() | NAMES,
    st.lists(NAMES, max_size=2).map(tuple), st.integers(0, 2),
)  # fmt: skip


def matches(patterns: tuple[str, ...], text: str) -> bool:
    including = [pattern for pattern in patterns if not pattern.startswith("!")]
    if any(fnmatchcase(text, pattern[1:]) for pattern in patterns if pattern.startswith("!")):
        return False
    return not including or any(fnmatchcase(text, pattern) for pattern in including)


def filter_is_true(when: str | None, facts: Facts) -> bool:
    return {
        None: True,
        "data.x == 1": facts.x == 1,
        "data.x > 1": facts.x > 1,
        "type == 'Loan'": facts.type == "Loan",
        "headers.h is none": not facts.headers,
        "tenant": bool(facts.tenant),
    }[when]


def expected(rules: Rules, facts: Facts) -> str:
    """Return ``yes``, ``no`` or ``off``, by evaluating the settings one after the other."""
    last = facts.headers[-1] if facts.headers else ""
    if not (
        (rules.sources is None or facts.source in rules.sources)
        and matches(rules.patterns, facts.type)
        and matches(rules.topics, facts.topic)
        and matches(rules.tenants, facts.tenant or "")
    ):
        return "no"
    if any(fnmatchcase(facts.type, pattern) for pattern in rules.off):
        return "off"
    return (
        "yes"
        if (rules.header is None or matches(rules.header, last)) and filter_is_true(rules.when, facts)
        else "no"
    )


def event_of(facts: Facts) -> Event:
    headers = tuple(("h", text.encode()) for text in facts.headers)
    record = Record(Partition(facts.topic, 0), 0, 0, None, b"", headers)
    return Event(record, facts.source, "id", facts.type, "", None, facts.tenant, None, lambda: {"x": facts.x})


def subscription_of(rules: Rules) -> Subscription:
    return Subscription(
        rules.patterns,
        rules.sources,
        rules.topics,
        rules.tenants,
        {} if rules.header is None else {"h": rules.header},
        Filter(rules.when) if rules.when else None,
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(RULES, min_size=1, max_size=5), st.lists(FACTS, min_size=1, max_size=12), st.booleans())
def test_the_router_agrees_with_the_evaluation_of_every_rule_for_every_event(
    rules: list[Rules], happened: list[Facts], turn_off_late: bool
) -> None:
    """Also for remembered routes, and for routes remembered before a type was switched off."""
    remembered, routing._REMEMBERED = routing._REMEMBERED, 3
    try:
        router = Router({number: subscription_of(endpoint) for number, endpoint in enumerate(rules)})
        if turn_off_late:
            for facts in happened:
                router.route(event_of(facts))
        router.turn_off({number: endpoint.off for number, endpoint in enumerate(rules)})
        for facts in happened * 2:
            event = event_of(facts)
            route = router.route(event)
            receiving = [target for target, passes in route.candidates if passes is None or passes(event)]
            words = [expected(endpoint, facts) for endpoint in rules]
            assert receiving == [number for number, word in enumerate(words) if word == "yes"]
            assert list(route.off) == [number for number, word in enumerate(words) if word == "off"]
            explained = router.explain(event)
            assert [number for number, refusal in explained.items() if refusal is None] == receiving
    finally:
        routing._REMEMBERED = remembered
