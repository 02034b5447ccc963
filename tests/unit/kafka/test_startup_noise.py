"""aiokafka's error about the group's coordinator: no alarm on a cluster's first start, as it is later."""

from __future__ import annotations

import logging

from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError
from structlog.testing import capture_logs

from bridge.kafka.startup_noise import FirstStart


class Start:
    def __init__(self) -> None:
        self.now, self.joined = 0.0, False
        self.filter = FirstStart(lambda: self.joined, clock=lambda: self.now)

    def writes(self, error: Exception) -> bool:
        name, text = "aiokafka.consumer.group_coordinator", "Group Coordinator Request failed: %s"
        return self.filter.filter(logging.LogRecord(name, logging.ERROR, "", 1, text, (error,), None))


def test_it_is_one_line_that_says_that_nothing_need_be_done() -> None:
    start = Start()
    with capture_logs() as lines:
        assert not any(start.writes(GroupCoordinatorNotAvailableError()) for _ in range(10))
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("coordinator.awaited", "info")
    assert line["remedy"].startswith("none needed")


def test_what_lasts_is_an_error() -> None:
    start = Start()
    assert not start.writes(GroupCoordinatorNotAvailableError())
    start.now += 31
    assert start.writes(GroupCoordinatorNotAvailableError())


def test_after_the_first_assignment_it_is_an_error_at_once() -> None:
    start = Start()
    start.joined = True
    assert start.writes(GroupCoordinatorNotAvailableError())


def test_any_other_error_is_written() -> None:
    start = Start()
    assert start.writes(GroupAuthorizationFailedError("g"))


def test_it_filters_what_aiokafka_writes_and_only_while_it_is_there() -> None:
    start, logger = Start(), logging.getLogger("aiokafka.consumer.group_coordinator")
    start.filter.add()
    assert start.filter in logger.filters
    start.filter.remove()
    assert start.filter not in logger.filters
