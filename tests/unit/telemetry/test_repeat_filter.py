"""A library's repeated message is written once per minute; a new message is written at once."""

from __future__ import annotations

import logging

from bridge.telemetry.logs import RepeatFilter


def line(text: str, *args: object, name: str = "aiokafka") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "file", 1, text, args, None)


def test_the_same_message_is_written_once_per_minute_with_the_suppressed_count() -> None:
    now = [0.0]
    repeats = RepeatFilter(lambda: now[0])
    assert repeats.filter(line("node %s is away", 1))
    for now[0] in (0.1, 30.0, 59.9):
        assert not repeats.filter(line("node %s is away", 1))
    now[0] = 60.0
    next_line = line("node %s is away", 1)
    assert repeats.filter(next_line)
    assert next_line.getMessage() == "node 1 is away (and 3 times before)"
    now[0] = 61.0
    assert not repeats.filter(line("node %s is away", 1))


def test_another_message_or_another_logger_is_written_at_once() -> None:
    repeats = RepeatFilter(lambda: 0.0)
    assert repeats.filter(line("node %s is away", 1))
    assert repeats.filter(line("node %s is away", 2))
    assert repeats.filter(line("node %s is away", 1, name="aiokafka.consumer"))


def test_messages_that_all_differ_are_all_written() -> None:
    repeats = RepeatFilter(lambda: 0.0)
    for number in range(5_000):
        assert repeats.filter(line("offset %s", number))
