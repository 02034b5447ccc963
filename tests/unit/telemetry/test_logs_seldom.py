"""A library that repeats itself is quoted once a minute, and nothing new is lost by it."""

from __future__ import annotations

import logging

from bridge.telemetry.logs import Seldom


def line(text: str, *args: object, name: str = "aiokafka") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "file", 1, text, args, None)


def test_the_same_line_is_written_once_a_minute_with_its_count() -> None:
    now = [0.0]
    seldom = Seldom(lambda: now[0])
    assert seldom.filter(line("node %s is away", 1))
    for now[0] in (0.1, 30.0, 59.9):
        assert not seldom.filter(line("node %s is away", 1))
    now[0] = 60.0
    again = line("node %s is away", 1)
    assert seldom.filter(again)
    assert again.getMessage() == "node 1 is away (and 3 times before)"
    now[0] = 61.0
    assert not seldom.filter(line("node %s is away", 1))


def test_another_line_or_another_logger_is_written_at_once() -> None:
    seldom = Seldom(lambda: 0.0)
    assert seldom.filter(line("node %s is away", 1))
    assert seldom.filter(line("node %s is away", 2))
    assert seldom.filter(line("node %s is away", 1, name="aiokafka.consumer"))


def test_lines_that_are_all_different_do_not_fill_the_memory() -> None:
    seldom = Seldom(lambda: 0.0)
    for number in range(5_000):
        assert seldom.filter(line("offset %s", number))
    assert len(seldom._said) <= 1_000
