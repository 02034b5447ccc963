"""aiokafka's error about the group coordinator: harmless on the first start of a cluster, not later."""

from __future__ import annotations

import inspect
import logging

from aiokafka.consumer import group_coordinator
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError
from structlog.testing import capture_logs

from bridge.kafka.aiokafka_patches.startup_noise import StartupNoise

DEAD = "Marking the coordinator dead (node %s)for group %s."


class Startup:
    """A filter with a clock to move and a group to join."""

    def __init__(self) -> None:
        self.now, self.joined = 0.0, False
        self.filter = StartupNoise(lambda: self.joined, clock=lambda: self.now)

    def passes(self, error: Exception) -> bool:
        name, text = "aiokafka.consumer.group_coordinator", "Group Coordinator Request failed: %s"
        return self.filter.filter(logging.LogRecord(name, logging.ERROR, "", 1, text, (error,), None))

    def passes_dead(self) -> bool:
        name, text = "aiokafka.consumer.group_coordinator", DEAD
        return self.filter.filter(logging.LogRecord(name, logging.WARNING, "", 1, text, (1, "g"), None))


def test_repeated_errors_become_one_line_that_needs_no_action() -> None:
    startup = Startup()
    with capture_logs() as lines:
        assert not any(startup.passes(GroupCoordinatorNotAvailableError()) for _ in range(10))
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("coordinator.awaited", "info")
    assert line["remedy"].startswith("none needed")


def test_an_error_that_lasts_is_logged() -> None:
    startup = Startup()
    assert not startup.passes(GroupCoordinatorNotAvailableError())
    startup.now += 31
    assert startup.passes(GroupCoordinatorNotAvailableError())


def test_after_the_first_assignment_the_error_is_logged_at_once() -> None:
    startup = Startup()
    startup.joined = True
    assert startup.passes(GroupCoordinatorNotAvailableError())


def test_a_coordinator_that_is_not_open_yet_is_dead_only_after_the_first_assignment() -> None:
    """aiokafka's text is compared, so an upgrade that rewords it fails here."""
    assert DEAD in inspect.getsource(group_coordinator)
    startup = Startup()
    with capture_logs() as lines:
        assert not startup.passes_dead()
    assert [line["event"] for line in lines] == ["coordinator.awaited"]
    startup.joined = True
    assert startup.passes_dead()


def test_any_other_error_is_logged() -> None:
    startup = Startup()
    assert startup.passes(GroupAuthorizationFailedError("g"))


def test_the_filter_is_active_only_between_add_and_remove() -> None:
    startup, logger = Startup(), logging.getLogger("aiokafka.consumer.group_coordinator")
    startup.filter.add()
    assert startup.filter in logger.filters
    startup.filter.remove()
    assert startup.filter not in logger.filters


def test_another_pod_that_joins_is_no_failed_heartbeat() -> None:
    """aiokafka's text is compared, so an upgrade that rewords it fails here."""
    text = "Heartbeat failed for group %s because it is rebalancing"
    assert text in inspect.getsource(group_coordinator)
    startup = Startup()
    for startup.joined in (False, True):
        line = logging.LogRecord(
            "aiokafka.consumer.group_coordinator", logging.WARNING, "", 1, text, ("g",), None
        )
        assert not startup.filter.filter(line)
        line.msg = "Heartbeat failed for group %s: generation id is not  current."
        assert startup.filter.filter(line)
