"""Texts that are no filter: each is refused with its place, and none can loop, allocate or reach inside."""

from __future__ import annotations

import builtins

import pytest

from bridge.core.filter import BadExpression, Filter

MISTAKES = [
    ("", 0, "is empty", "data.amount > 100"),
    ("  \n", 0, "is empty", ""),
    ("amount > 1", 0, 'there is no "amount" here', "did you mean data.amount?"),
    ("data.x == 1 and tpye == 'a'", 16, 'there is no "tpye" here', "did you mean type?"),
    ("payload.x", 0, 'no "payload"', "the payload is data"),
    ("data.x == null", 10, 'no "null"', "write none"),
    ("data.x >", 8, "at its end", "missing there"),
    ("data.x data.y", 7, "at 'data.y'", ""),
    ("data.x && data.y", 7, '"&&"', "write and"),
    ("data.x || data.y", 7, '"||"', "write or"),
    ("!data.x", 0, '"!"', "write not"),
    ("data.x = 1", 7, '"="', "write == to compare"),
    ("data.x <> 1", 7, '"<>"', "write !="),
    ("data.x == '&& = #' = 1", 19, '"="', ""),
    ("data.x == 1 # why", 12, '"#"', "on its own line of the file"),
    ("data.class == 1", 5, '"class" cannot follow a dot', 'write ["class"]'),
    ("(data.x", 0, "'(' was never closed", "close it"),
    ("data.x)", 6, "unmatched ')'", ""),
    ('data.x == "a', 10, "unterminated string", ""),
    ("data.é == 1 and é", 16, 'no "é"', ""),
    ('data["é"] == "ü" and\n  amount', 23, 'no "amount"', ""),
    ("entity == 42", 10, "entity is text, never a number", 'write "42"'),
    ("42 != entity", 6, "entity is text", 'write "42"'),
    ("data.x | lowr == 'a'", 9, "lowr cannot follow |", "did you mean lower?"),
    ("data.x | data.y", 9, "data.y cannot follow |", "the words are"),
    ("data.a + data.b | number > 1", 0, "a calculation cannot precede |", ""),
    ("data.x is string", 10, "defined or none", "compare with =="),
    ("data.x == 1 is none", 10, "defined or none", ""),
    ("1 is defined", 0, "only a path can be defined", ""),
    ("data.x.startswith(data.y)", 0, "startswith takes one literal text", ""),
    ("data.x.startswith()", 0, "startswith takes one literal text", ""),
    ("data.x.startswith('a', 'b')", 0, "startswith takes one literal text", ""),
    ("data[type]", 5, "between [ ]", ""),
    ("data[1:2]", 5, "between [ ]", ""),
    ("data.x in [1, data.y]", 14, "a list may contain only literal values", ""),
    ("1" * 31 + " > data.x", 0, "more than 30 digits", ""),
    ("data.x > 0." + "1" * 40, 9, "more than 30 digits", ""),
    ("data.x" + " " * 2000, 2000, "longer than 2000", ""),
]


@pytest.mark.parametrize(("text", "at", "cause", "remedy"), MISTAKES)
def test_a_mistake_is_reported_with_its_place_and_a_remedy(
    text: str, at: int, cause: str, remedy: str
) -> None:
    with pytest.raises(BadExpression) as raised:
        Filter(text)
    found = raised.value
    assert (found.at, cause in found.cause, remedy in found.remedy) == (at, True, True), str(found)
    assert found.remedy


REACHING = [
    "__import__('os').system('true')", "open('/etc/passwd')", "data.__class__()",
    "().__class__.__mro__", "''.__class__", "(1).real", "data.x.format(1)",
    "'{0.__class__}'.format(data)", "'%s' % data", "data.x.__getitem__(1)", "eval('1')",
    "getattr(data, 'x')", "data.items()", "data.x.encode()", "lambda: 1", "(lambda: 1)()",
    "[x for x in data]", "{x for x in data}", "{x: 1 for x in data}", "(x for x in data)",
    "(x := data)", "data if type else id", "f'{data}'", "f''", "{'a': 1}", "{1, 2}", "*data",
    "await data", "yield data", "data.x; data.y", "import os", "data[:]", "data[...]", "...", "b'x'",
    "1j", "print", "globals", "self", "event", "record", "os", "builtins",
]  # fmt: skip
GROWING = [
    '"a" * 10**9', "'a' * 1000000000 == data.x", "data.x ** 2", "'a' + 'b' == data.x", "2**10**6 > 1",
    "10**10**10", "range(10**9)", "1 << 10**9", "list(range(9))", "data.x.ljust(1000000000)",
    "'%1000000000d' % 1", "data.x % 2", "data.x // 2", "~data.x", "data.x @ data.y", "data.x ^ 1",
    "data.x & 1",
    "data.x >> 1", "+data.x", "data.x.replace('a', 'aaaa')", "data.x.join(data.y)",
    "data.x | center(1000000000)", "[0] * 10", "data.x | regex('(a+)+$')", "data.x.matches('(a+)+$')",
    "(" * 300 + "1" + ")" * 300, "-" * 1500 + "1", "not " * 400 + "data", "data" + "+data.x" * 200, "[" * 500,
    "data" + "[0" * 500, "1" * 1900, "0x" + "f" * 1900,
]  # fmt: skip


@pytest.mark.parametrize("text", REACHING + GROWING)
def test_expressions_that_reach_inside_objects_or_allocate_are_refused_before_they_run(text: str) -> None:
    with pytest.raises(BadExpression):
        Filter(text)


def test_no_builtin_of_python_is_a_field() -> None:
    """Nor anything else but the event's own names and the words for true, false and none."""
    accepted = []
    for name in dir(builtins):
        try:
            Filter(name)
        except BadExpression:
            continue
        accepted.append(name)
    assert accepted == ["False", "None", "True", "id", "type"]
