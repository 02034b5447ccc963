"""``tests.bench.calls`` counts what the interpreter executes, by function."""

from __future__ import annotations

from collections import Counter
from types import CodeType

from tests.bench.calls import counting_byte_codes, counting_calls


def add_up(numbers: int) -> int:
    total = 0
    for number in range(numbers):
        total += number
    return total


def counted(numbers: int) -> int:
    byte_codes: Counter[CodeType] = Counter()
    with counting_byte_codes(byte_codes):
        add_up(numbers)
    add_up(numbers)  # after the block, which does not count
    return byte_codes[add_up.__code__]


def test_each_round_of_a_loop_executes_the_same_byte_codes() -> None:
    first, second, third = (counted(numbers) for numbers in (10, 20, 30))
    assert 0 < first < second
    assert third - second == second - first


def test_only_calls_of_the_bridge_are_counted_as_calls() -> None:
    calls: Counter[CodeType] = Counter()
    with counting_calls(calls):
        add_up(3)
    assert not calls
