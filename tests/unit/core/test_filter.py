"""Filters: the value of an expression for an event, and the errors of values that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bridge.core.filter import ABSENT, UNKNOWN, Filter
from bridge.errors import DecodeError, FilterError
from bridge.model import Event, ExactNumber, Partition, Record

LOAN = {
    "principal": Decimal("1500.00000000"),
    "tenth": Decimal("0.1"),
    "currency": {"code": "USD", "decimalPlaces": 2},
    "status": {"code": "loanStatusType.active"},
    "rate": 0.1,
    "count": 3,
    "written": "1500.50",
    "active": True,
    "closed": False,
    "nothing": None,
    "name": "Ärger & Söhne",
    "tags": ["new", "vip"],
    "items": [{"sku": "a", "keys": 1}, {"sku": "b"}],
    "first-name": "Ada",
    "class": "x",
    "raw": b"USD",
    "huge": 12345678901234567890,
    "nan": float("nan"),
    "exact": ExactNumber("12345678901234567.89"),
}


def an_event(payload: Callable[[], Any] = lambda: LOAN) -> Event:
    headers = (("region", b"eu-1"), ("region", b"eu-2"), ("bad", b"\xff"))
    record = Record(Partition("loans", 3), 42, 0, b"k", b"v", headers)
    return Event(
        record, "fineract", "id-1", "LoanApproved", "2026-06-29T08:15:30Z", "42", "acme", None, payload,
        {"category": "Loan"},
    )  # fmt: skip


TRUE = [
    'data.principal > 1000 and data.currency.code == "USD"', "data.principal == 1500",
    "data.exact > 12345678901234567", "data.exact < 12345678901234568", "data.exact == data.exact",
    "data.exact + data.principal > 0", "data.exact - 12345678901234567 < 0.9",
    "data.exact <= data.exact", "data.exact | number > 1", "-data.exact < 0",
    "data.principal == 1500.0", "data.principal >= 1500.00", "data.principal < 1500.01",
    "1000 < data.principal <= 1500", "data.tenth == 0.1", "data.rate == 0.1", "data.tenth == data.rate",
    "data.rate < 0.2", "data.tenth >= data.rate", "data.tenth in [0.1, 5]", "data.rate in [0.1]",
    "data.huge == 12345678901234567890", "data.huge > 12345678901234567889",
    "data.principal - data.count * 100 == 1200", "data.principal + 0.5 > data.principal",
    "-data.count < -2", "data.tenth + data.rate == 0.2", "data.principal / 2 == 750",
    "data.count / 2 == 1.5", "data.written | number > 1500.4", "data.count | number == 3",
    '"12" | number == 12', "data.count == 3.0", 'data.currency.code in ["EUR", "USD"]',
    'data.currency.code in ("USD",)', 'data.currency["code"] == "USD"',
    'data.currency.code not in ["EUR"]', "data.count in [1, 3]", "not (data.currency.code in [])",
    '"vip" in data.tags', '"old" not in data.tags', '"Söhne" in data.name', '"code" in data.currency',
    'data.items[0].sku == "a"', 'data.items[-1].sku == "b"', "data.items | length == 2",
    "data.items[0].keys == 1", "data.tags | length > 1", "data.name | length == 13",
    "data.currency | length == 2", 'data.name | lower == "ärger & söhne"',
    'data.name | upper | lower == "ärger & söhne"', 'data.status.code.endswith("active")',
    'data["first-name"].startswith("A")', 'data["class"] == "x"', "data.active", "data.active == true",
    "data.active == True", "not data.closed", "data.closed == false", "data.closed is defined",
    "data.nothing is defined", "data.nothing is none", "data.nothing == none",
    "data.absent is not defined", "data.absent is none", "data.absent == none",
    "data.count is not none", 'data.absent != "CLOSED"', "not data.absent", 'data.absent not in ["a"]',
    "data.absent.deeper.still is none", "data.count.deeper is none", "data.items.sku is none",
    "data.items[9] is none", "data[0] is none", "data.absent + 1 == none", "data.active != 5",
    'data.count != "3"', "data.raw != 'USD'", "data.nan != data.nan", 'type == "LoanApproved"',
    'id == "id-1"', 'time >= "2026-01-01"', 'entity == "42"', "entity | number == 42",
    'tenant == "acme"', 'source == "fineract"', 'topic == "loans"', 'context.category == "Loan"',
    'headers.region == "eu-2"', 'headers["region"].startswith("eu-")', "headers.other is none",
    "headers.bad", 'type.startswith("Loan") and (data.count == 1 or data.count == 3)', "data",
    "data.absent or data.count", "(data.absent or data.count) == 3", "1 == 1",
    "data.active\n  and data.count == 3\n", '  data.count\t== 3', "data.currency == data.currency",
    "data.tags == ['new', 'vip']",
]  # fmt: skip
FALSE = [
    "data.absent > 5", "data.absent < 5", "5 > data.absent", "data.absent == 0", 'data.absent == ""',
    'data.absent in ["a"]', '"a" in data.absent', 'data.absent.startswith("a")',
    'data.absent | lower == "a"', "data.absent | length > 0", "data.absent | length == 0",
    "data.nothing > 5", "data.nothing >= none", "data.absent - 1 > 0", "data.principal > 1500",
    "data.principal != 1500.00", "data.closed or data.nothing", 'data.count == "3"', "data.nan > 0",
    "data.nan < 0.5", "data.nan == 0.5", "data.raw == 'USD'", "none in data.name",
    "data.active and data.closed", "data.count in ['3']", "5 in data.currency",
    "data.absent is defined", 'headers["Region"] == "eu-2"', 'data.currency.code == "usd"',
    "data.items.keys is defined", "data.__class__", "data.items[0].keys.real",
    "data.name[0] is defined", "type.__len__ is defined", "context.keys is defined",
]  # fmt: skip


@pytest.mark.parametrize("text", TRUE)
def test_the_filter_is_true(text: str) -> None:
    assert Filter(text).matches(an_event()) is True


@pytest.mark.parametrize("text", FALSE)
def test_the_filter_is_false(text: str) -> None:
    assert Filter(text).matches(an_event()) is False


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("data.written > 1000", "text > a number: only equal kinds have an order (| number converts"),
        ("data.principal < data.name", "a number < text"),
        ("data.active > 0", "a boolean > a number"),
        ("data.tags > data.tags", "a list > a list: these have no order"),
        ("data.currency <= 5", "an object <= a number"),
        ("data.name * 3 == 1", "text * a number: calculations need numbers"),
        ("data.tags + data.tags == 1", "a list + a list"),
        ("data.active + 1 == 2", "a boolean + a number"),
        ("data.count / 0 > 1", "/ by zero"),
        ("data.principal / 0 > 1", "/ by zero"),
        ("-data.name == 1", "a number - text"),
        ("data.name | number > 1", "number of a text that is not a number"),
        ("data.tags | lower == 'a'", "lower of a list"),
        ("data.count | length > 1", "length of a number"),
        ("data.count | upper == 'A'", "upper of a number"),
        ("3 in data.name", "a number in text"),
        ("'a' in data.count", "in a number"),
        ("data.raw > 'a'", "bytes > text"),
        ("'inf' | number > 1", "not a number"),
        ("'nan' | number > 1", "not a number"),
    ],
)  # fmt: skip
def test_values_of_the_wrong_kind_raise_an_error_with_the_place_of_the_record(text: str, cause: str) -> None:
    with pytest.raises(FilterError) as raised:
        Filter(text).matches(an_event())
    assert cause in raised.value.cause
    assert raised.value.place == "loans-3@42"
    assert "hookferry route" in raised.value.remedy


def test_the_cause_contains_no_value_of_the_event() -> None:
    """Causes are logged and stored; the values of an event may be confidential."""
    for text in ("data.written > 1000", "data.name | number > 1", "data.name * 2 > 1"):
        with pytest.raises(FilterError) as raised:
            Filter(text).matches(an_event())
        for value in ("1500.50", "Ärger"):
            assert value not in str(raised.value)


def test_an_error_inside_an_operator_is_a_filter_error() -> None:
    deep: list[Any] = []
    same: list[Any] = []
    for _ in range(1_000_000):
        deep, same = [deep], [same]
    with pytest.raises(FilterError, match="RecursionError"):
        Filter("data.a == data.b").matches(an_event(lambda: {"a": deep, "b": same}))
    with pytest.raises(FilterError, match="Overflow"):
        Filter("data.a * data.a * data.a > 1").matches(an_event(lambda: {"a": Decimal("1e999999")}))


def test_the_payload_is_decoded_only_if_the_expression_reads_it() -> None:
    def broken() -> Any:
        raise DecodeError("loans-3@42", "the bytes end", "mend it")

    event = an_event(broken)
    assert not Filter('type == "Other" and data.x == 1').matches(event)
    assert Filter('type == "LoanApproved" or data.x == 1').matches(event)
    with pytest.raises(DecodeError, match="the bytes end"):
        Filter('type == "LoanApproved" and data.x == 1').matches(event)


def test_a_payload_that_is_not_an_object_has_no_fields() -> None:
    for payload in (None, "text", 5, [{"x": 1}], b"raw"):
        event = an_event(lambda payload=payload: payload)  # type: ignore[misc]
        assert Filter("data.x is none").matches(event)
        assert not Filter("data.x is defined").matches(event)
    assert Filter('data[0].x == 1 and "a" not in data').matches(an_event(lambda: [{"x": 1}]))


def test_the_values_of_the_paths_are_listed_by_their_text() -> None:
    found = Filter(
        'data.principal > 1 and (data["first-name"] == "x" or not data.absent.x) and not data.nothing'
        ' and type == "y"'
    )
    assert found.path_values(an_event()) == {
        "data.principal": Decimal("1500.00000000"),
        'data["first-name"]': "Ada",
        "data.absent.x": ABSENT,
        "data.nothing": None,
        "type": "LoanApproved",
    }


@pytest.mark.parametrize(
    ("text", "can_hold"),
    [
        ("data.gone == data.x", True), ("data.gone != data.x", True), ("data.gone in data.x", True),
        ("data.x in data.gone", False), ("data.x not in data.gone", True), ("data.gone > data.x", False),
        ("data.x <= data.gone", False), ("data.gone.startswith('a')", False),
        ("not (data.gone > data.x)", True),
        ("data.gone and data.x", False), ("data.gone or data.x", True), ("data.x and data.gone", False),
        ("data.gone is defined", False), ("data.x is defined", True), ("data.gone is none", True),
        ("data.gone + data.x > 1", False), ("data.gone + data.x is none", True),
        ("data.x | length > 1", True),
        ("data.gone | length > 1", False), ("type == 'Other'", False), ("type == 'Loan' and data.x", True),
        ("data.x == 1 and 1 == 2", False), ("tenant | number > 5", True),
        ("type | number > 5", True),
    ],
)  # fmt: skip
def test_a_filter_can_match_unless_the_known_values_make_it_false(text: str, can_hold: bool) -> None:
    """Known are the type, and that ``data.gone`` is missing. Anything else may have any value, or none."""
    known = {"data.gone": ABSENT, "type": "Loan"}
    assert Filter(text).can_match(lambda look: known.get(look.text, UNKNOWN)) is can_hold
