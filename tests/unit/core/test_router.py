"""Routing: patterns, sources, topics, tenants, headers, filters, what is off, and a bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from bridge.core import routing
from bridge.core.filter import Filter
from bridge.core.routing import Refusal, Router, Subscription
from bridge.errors import FilterError
from bridge.model import Event, Partition, Record, Resend


def an_event(
    type: str = "LoanPaid",
    *,
    source: str = "s",
    topic: str = "t",
    tenant: str | None = None,
    headers: tuple[tuple[str, bytes], ...] = (),
    payload: Callable[[], object] = dict,
    origin: Record | None = None,
) -> Event:
    record = Record(Partition(topic, 0), 7, 0, b"k", b"v", headers)
    resend = None if origin is None else Resend(origin, None, "x1")
    return Event(record, source, "id", type, "", "1", tenant, None, payload, resend=resend)


def targets(router: Router[str], event: Event) -> list[str]:
    """Return the targets that receive the event."""
    return [name for name, passes in router.route(event).candidates if passes is None or passes(event)]


@pytest.mark.parametrize(
    ("patterns", "wanted", "unwanted"),
    [
        (("*",), ["Loan", "", "a.b/c\nd"], []),
        ((), ["Loan"], []),
        (("Loan*",), ["Loan", "LoanPaid"], ["MyLoan", "loanPaid", "Loa"]),
        (("Loan",), ["Loan"], ["LoanPaid", "Loan\n"]),
        (("Loan*", "!LoanCreated*"), ["LoanPaid"], ["LoanCreated", "LoanCreatedAgain", "Client"]),
        (("!LoanCreated*", "Loan*"), ["LoanPaid"], ["LoanCreated"]),
        (("!Loan*",), ["Client"], ["LoanPaid"]),
        (("Loan*", "Client?"), ["LoanX", "ClientA"], ["Client", "ClientAB"]),
        (("[AB]x", "!Bx"), ["Ax"], ["Bx", "Cx"]),
        (("a.b",), ["a.b"], ["aXb"]),
        (("a|b",), ["a|b"], ["a", "b"]),
    ],
)
def test_patterns_are_globs_over_the_whole_text(
    patterns: tuple[str, ...], wanted: list[str], unwanted: list[str]
) -> None:
    router = Router({"crm": Subscription(patterns)})
    assert [text for text in wanted + unwanted if targets(router, an_event(text))] == wanted
    by_topic = Router({"crm": Subscription(topics=patterns)})
    assert [text for text in wanted + unwanted if targets(by_topic, an_event(topic=text))] == wanted
    by_tenant = Router({"crm": Subscription(tenants=patterns)})
    assert [text for text in wanted + unwanted if targets(by_tenant, an_event(tenant=text))] == wanted
    by_header = Router({"crm": Subscription(record_headers={"h": patterns})})
    events = {one: an_event(headers=(("h", one.encode()),)) for one in wanted + unwanted}
    assert [one for one, event in events.items() if targets(by_header, event)] == wanted


def test_without_sources_an_endpoint_receives_events_of_all_sources() -> None:
    router = Router({"all": Subscription(), "one": Subscription(sources=frozenset({"orders"}))})
    assert targets(router, an_event(source="orders")) == ["all", "one"]
    assert targets(router, an_event(source="other")) == ["all"]


def test_a_missing_tenant_or_header_counts_as_empty_text() -> None:
    router = Router(
        {
            "any": Subscription(tenants=("*", "!demo")),
            "some": Subscription(tenants=("?*",)),
            "header": Subscription(record_headers={"h": ("?*",)}),
            "no test": Subscription(record_headers={"h": ("*", "!test")}),
        }
    )
    assert targets(router, an_event()) == ["any", "no test"]
    assert targets(router, an_event(tenant="demo", headers=(("h", b"test"),))) == ["some", "header"]


def test_all_headers_must_match_and_the_last_header_of_a_name_counts() -> None:
    router = Router({"crm": Subscription(record_headers={"a": ("1",), "b": ("2",)})})
    assert targets(router, an_event(headers=(("a", b"1"), ("b", b"2")))) == ["crm"]
    assert targets(router, an_event(headers=(("a", b"1"),))) == []
    assert targets(router, an_event(headers=(("a", b"1"), ("b", b"2"), ("b", b"3")))) == []
    assert targets(router, an_event(headers=(("a", b"1"), ("b", b"3"), ("b", b"2")))) == ["crm"]
    assert targets(router, an_event(headers=(("a", b"1"), ("b", b"\xff")))) == []


def test_an_event_that_is_sent_again_is_routed_by_its_original_record() -> None:
    origin = Record(Partition("orders", 0), 1, 0, b"k", b"v", (("h", b"1"),))
    router = Router({"crm": Subscription(topics=("orders",), record_headers={"h": ("1",)})})
    assert targets(router, an_event(topic="g.again", origin=origin)) == ["crm"]


def test_candidates_are_in_the_order_of_the_configuration() -> None:
    router = Router({name: Subscription() for name in ("z", "a", "m")})
    assert targets(router, an_event()) == ["z", "a", "m"]


def test_a_route_is_evaluated_once_per_kind() -> None:
    """The remembered route itself is returned: nothing is built per event."""
    router = Router({"a": Subscription(("Loan*",)), "b": Subscription(when=Filter("data.x == 1"))})
    assert router.route(an_event()) is router.route(an_event())
    assert router.route(an_event(tenant="x")) is router.route(an_event(tenant="y")), (
        "no rule asks for tenants"
    )


def test_a_remembered_route_applies_to_its_own_kind_only() -> None:
    router = Router(
        {
            "source": Subscription(sources=frozenset({"orders"})),
            "topic": Subscription(topics=("mine",)),
            "tenant": Subscription(tenants=("acme",)),
        }
    )
    for _ in range(2):
        assert targets(router, an_event(source="orders")) == ["source"]
        assert targets(router, an_event(topic="mine")) == ["topic"]
        assert targets(router, an_event(tenant="acme")) == ["tenant"]
        assert targets(router, an_event()) == []


def test_a_filter_is_evaluated_only_after_everything_else_matched() -> None:
    asked: list[str] = []

    class Asked:
        def __init__(self, name: str) -> None:
            self.name = name

        def matches(self, event: Event) -> bool:
            asked.append(self.name)
            return True

    router = Router(
        {
            "source": Subscription(sources=frozenset({"other"}), when=Asked("source")),
            "topic": Subscription(topics=("other",), when=Asked("topic")),
            "type": Subscription(("Client*",), when=Asked("type")),
            "tenant": Subscription(tenants=("acme",), when=Asked("tenant")),
            "header": Subscription(record_headers={"h": ("1",)}, when=Asked("header")),
            "off": Subscription(when=Asked("off")),
            "asked": Subscription(record_headers={"h": ("*",)}, when=Asked("asked")),
        }
    )
    router.turn_off({"off": ["Loan*"]})
    assert targets(router, an_event()) == ["asked"]
    assert asked == ["asked"]


def test_switching_a_type_off_affects_only_the_named_endpoint_until_it_is_switched_on() -> None:
    router = Router({"a": Subscription(), "b": Subscription(("Loan*",)), "c": Subscription(("Client*",))})
    before = router.route(an_event())
    router.turn_off({"b": ["LoanP*", "Other"], "c": ["LoanPaid"]})
    now = router.route(an_event())
    assert [one.target for one in now.candidates] == ["a"]
    assert now.off == ("b",), "c does not want it anyway"
    assert targets(router, an_event("LoanX")) == ["a", "b"]
    pattern = router.off_pattern("b")
    assert isinstance(pattern, re.Pattern)
    assert (bool(pattern.match("LoanPaid")), bool(pattern.match("Loan"))) == (True, False)
    assert router.off_pattern("a") is None
    router.turn_off({})
    assert router.route(an_event()) == before
    assert router.off_pattern("b") is None


def test_the_number_of_remembered_routes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "_REMEMBERED", 10)
    router = Router({"loans": Subscription(("Loan*",)), "acme": Subscription(("X",), tenants=("acme",))})
    for number in range(1000):
        assert targets(router, an_event(f"Loan{number}")) == ["loans"]
        assert targets(router, an_event(tenant=f"{number}")) == ["loans"]
        assert targets(router, an_event(f"Other{number}")) == []
        assert len(router._known) <= 10
    router._known.clear()
    assert targets(router, an_event("Loan" + "x" * 100_000)) == ["loans"]
    assert not router._known, "a name of any length is not kept"


def test_each_refusal_names_the_setting_and_the_cause() -> None:
    router = Router(
        {
            "gets": Subscription(),
            "source": Subscription(sources=frozenset({"orders", "b"})),
            "topic": Subscription(topics=("x*", "y")),
            "type": Subscription(("*", "!Client*", "!LoanP*")),
            "tenant": Subscription(tenants=("acme",)),
            "header": Subscription(record_headers={"h": ("1",)}),
            "when": Subscription(when=Filter("data.x == 2")),
            "parked": Subscription(when=Filter("data.x > 'a'")),
            "off": Subscription(),
        }
    )
    router.turn_off({"off": ["Other", "Loan*"], "type": ["Loan*"]})
    refusals = router.explain(an_event(payload=lambda: {"x": 1}))
    assert {name: refusal.rule if refusal else None for name, refusal in refusals.items()} == {
        "gets": None, "source": "sources", "topic": "topics", "type": "events", "tenant": "tenants",
        "header": "record_headers", "when": "when", "parked": "parked", "off": "off",
    }  # fmt: skip
    assert refusals["source"] == Refusal("sources", '"s" is none of b, orders')
    assert refusals["topic"] == Refusal("topics", '"t" is none of x*, y')
    assert refusals["type"] == Refusal("events", '"LoanPaid" is excluded by !LoanP*')
    assert refusals["header"] == Refusal("record_headers", 'h: "" is none of 1')
    assert refusals["off"] is not None
    assert refusals["off"].cause.startswith("Loan* is switched off")
    assert refusals["parked"] is not None
    assert "a number > text" in refusals["parked"].cause


def test_an_error_in_a_filter_is_raised_by_the_candidate() -> None:
    router = Router({"crm": Subscription(record_headers={"h": ("*",)}, when=Filter("data.x > 'a'"))})
    event = an_event(payload=lambda: {"x": 1})
    ((_, passes),) = router.route(event).candidates
    assert passes is not None
    with pytest.raises(FilterError, match="t-0@7"):
        passes(event)
