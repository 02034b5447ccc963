"""Routing: patterns, exclusions, sources, and a memory that is bounded."""

from __future__ import annotations

import pytest

from bridge import route
from bridge.route import Router, Subscription


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
def test_patterns_are_globs_over_the_whole_type(
    patterns: tuple[str, ...], wanted: list[str], unwanted: list[str]
) -> None:
    router = Router({"crm": Subscription(patterns)})
    assert [one for one in wanted + unwanted if router.targets("s", one)] == wanted


def test_sources_restrict_and_none_means_all() -> None:
    router = Router({"all": Subscription(), "one": Subscription(sources=frozenset({"orders"}))})
    assert router.targets("orders", "x") == ("all", "one")
    assert router.targets("other", "x") == ("all",)


def test_targets_come_in_the_order_of_the_configuration() -> None:
    router = Router({name: Subscription() for name in ("z", "a", "m")})
    assert router.targets("s", "x") == ("z", "a", "m")


def test_a_remembered_route_is_the_same_for_its_source_only() -> None:
    router = Router({"one": Subscription(sources=frozenset({"orders"}))})
    for _ in range(2):
        assert router.targets("orders", "x") == ("one",)
        assert router.targets("other", "x") == ()


def test_types_from_outside_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "_REMEMBERED", 10)
    router = Router({"loans": Subscription(("Loan*",))})
    for number in range(1000):
        assert router.targets("s", f"Loan{number}") == ("loans",)
        assert router.targets("s", f"Other{number}") == ()
        assert len(router._known) <= 10
