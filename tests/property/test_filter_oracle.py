"""Filters, against Jinja2 where both define a value, and against hostile texts."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bridge.core.filter import UNKNOWN, BadExpression, Filter
from bridge.errors import FilterError
from bridge.model import Event, Partition, Record

DATA = {
    "n": 3, "m": -7, "f": 2.5, "d": Decimal("12.50"), "e": Decimal("2.5"), "s": "abc", "t": "b", "u": "",
    "yes": True, "no": False, "null": None, "l": ["abc", "b"], "o": {"n": 3, "s": "x"},
}  # fmt: skip
ENVIRONMENT = ImmutableSandboxedEnvironment()
NUMBERS = st.sampled_from(
    ["data.n", "data.m", "data.f", "data.d", "data.e", "data.o.n", "3", "2.5", "12.5", "-7"]
)
WRITTEN = st.sampled_from(['"abc"', "'b'", '""', '"x"'])
PLACES = st.sampled_from(["data.s", "data.t", "data.u", "data.o.s", 'data["o"]["s"]'])
TEXTS = WRITTEN | PLACES
SIGNS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])


def counted(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("({} {} {})".format, numbers, st.sampled_from("+-*"), numbers) | numbers.map(
        "(-{})".format
    )


CONDITIONS = (
    st.builds("{} {} {}".format, st.recursive(NUMBERS, counted, max_leaves=3), SIGNS, NUMBERS)
    | st.builds("{} {} {}".format, TEXTS, SIGNS, TEXTS)
    | st.builds("{} {} {}".format, TEXTS, st.sampled_from(["in", "not in"]), TEXTS | st.just("data.l"))
    | st.builds("{} {} [{}, {}]".format, TEXTS, st.sampled_from(["in", "not in"]), WRITTEN, WRITTEN)
    | st.builds("{} < {} <= {}".format, NUMBERS, NUMBERS, NUMBERS)
    | st.builds("{}.startswith({})".format, PLACES, WRITTEN)
    | st.builds("({} | {}) == {}".format, TEXTS, st.sampled_from(["lower", "upper"]), TEXTS)
    | st.builds("{} | length > {}".format, TEXTS | st.just("data.l"), st.sampled_from("0123"))
    | st.sampled_from(["data.n is defined", "data.null is defined", "data.absent is not defined"])
    | st.sampled_from(["data.n is not none", "data.null is none"])
    | st.sampled_from(
        ["data.yes", "data.no", "data.null", "data.absent", "true", "false", "none", "data.l", "data.u"]
    )
)


def joined(conditions: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        "({} {} {})".format, conditions, st.sampled_from(["and", "or"]), conditions
    ) | conditions.map("not ({})".format)


def an_event(payload: Any) -> Event:
    record = Record(Partition("t", 0), 0, 0, None, b"")
    return Event(record, "s", "id", "Loan", "", None, None, None, lambda: payload)


@settings(max_examples=500, deadline=None)
@given(st.recursive(CONDITIONS, joined, max_leaves=6))
def test_an_expression_has_the_same_value_as_in_a_template(text: str) -> None:
    """For values that exist. Filters have rules of their own for missing values and mixed kinds."""
    try:
        expected = ENVIRONMENT.compile_expression(text)(data=DATA)
    except TypeError:
        return  # it cannot add a fraction to a decimal
    assert Filter(text).matches(an_event(DATA)) == bool(expected), text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.decimals()
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcx"), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.lists(st.sampled_from([".a", ".b", '["c"]', "[0]", "[-1]", ".x"]), max_size=3).map(
    lambda p: "data" + "".join(p)
)
ANYTHING = st.recursive(
    PATHS | st.sampled_from(["1", "0.1", '"a"', "none", "true", '["a", 1]', "type", "headers.x"]),
    lambda part: st.builds(
        "({} {} {})".format, part,
        st.sampled_from(["+", "-", "*", "/", "<", ">=", "==", "!=", "in", "not in", "and", "or"]), part,
    ) | st.builds("({} | {})".format, PATHS, st.sampled_from(["lower", "upper", "length", "number"]))
    | part.map("(not {})".format) | part.map("(-{})".format) | PATHS.map("({}.startswith('a'))".format),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(ANYTHING, JSON)
def test_every_filter_returns_a_boolean_or_raises_a_filter_error_for_every_payload(
    text: str, payload: Any
) -> None:
    """An exception of another kind would stop the reader."""
    try:
        condition = Filter(text)
    except BadExpression:
        return
    with suppress(FilterError):
        assert condition.matches(an_event(payload)) in (True, False)
    condition.path_values(an_event(payload))


@settings(max_examples=500, deadline=None)
@given(ANYTHING, JSON, st.integers(0))
def test_a_filter_that_cannot_match_is_false(text: str, payload: Any, hidden: int) -> None:
    """Whatever part of the event is known, the rest of it could not have changed the result."""
    try:
        condition = Filter(text)
    except BadExpression:
        return
    values = condition.path_values(an_event(payload))
    unknown = {path for number, path in enumerate(values) if hidden >> number & 1}
    can_match = condition.can_match(lambda path: UNKNOWN if path.text in unknown else values[path.text])
    with suppress(FilterError):
        matches = condition.matches(an_event(payload))
        assert can_match or not matches
        assert unknown or can_match == matches


PIECES = st.sampled_from(
    [
        *"()[]{}.,:|'\"=!<>+-*/%#@\\ \n",
        "data",
        "not ",
        "is ",
        "in ",
        " and ",
        "1",
        "0x",
        "1e9",
        "lambda ",
        "f'",
        "{data}",
        "é",
        "\x00",
        "\u2028",
        "startswith",
        " for x in ",
        " if ",
        " else ",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=60) | st.lists(PIECES).map("".join))
def test_any_text_is_a_filter_or_is_refused_with_a_place(text: str) -> None:
    mistake = None
    try:
        Filter(text)
    except BadExpression as exc:
        mistake = exc
    assert mistake is None or (0 <= mistake.at <= len(text) and mistake.cause and mistake.remedy)
