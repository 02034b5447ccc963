"""How logs are written: one line per event, JSON for machines, text for a terminal."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from bridge.telemetry import events, logs


class Stream(io.TextIOWrapper):
    def __init__(self, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []  # pytest's own, which a set-up by force would close
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_of_json_has_the_event_its_level_and_an_instant_in_utc() -> None:
    stream = Stream()
    logs.set_up("info", "json", stream)
    structlog.get_logger().warning(events.COMMIT_FAILED, cause="é\nline", at=1.5, odd={1: object})
    (line,) = stream.lines
    instant = datetime.fromisoformat(line.pop("timestamp"))
    assert instant.utcoffset() == timedelta(0)
    assert line == {
        "event": "commit.failed", "level": "warning", "cause": "é\nline", "at": 1.5,
        "odd": {"1": str(object)},
    }  # fmt: skip


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_what_is_below_the_level_is_not_written(level: str, shown: int) -> None:
    stream = Stream()
    logs.set_up(level, "json", stream)
    log = structlog.get_logger()
    for say in (log.debug, log.info, log.warning, log.error):
        say("x")
    assert len(stream.lines) == shown


def test_an_exception_is_one_line_of_json_with_its_traceback() -> None:
    stream = Stream()
    logs.set_up("info", "json", stream)
    try:
        raise RuntimeError("a bug")
    except RuntimeError:
        structlog.get_logger().exception(events.DELIVERY_FAILED_INSIDE)
    (line,) = stream.lines
    assert "RuntimeError: a bug" in line["exception"]


@pytest.mark.parametrize(("style", "terminal", "is_json"), [
    ("auto", False, True), ("auto", True, False), ("console", False, False), ("json", True, True),
])  # fmt: skip
def test_auto_means_json_unless_a_person_looks(style: str, terminal: bool, is_json: bool) -> None:
    stream = Stream(terminal)
    logs.set_up("info", style, stream)
    structlog.get_logger().info("x.done", place="orders-0@1")
    assert stream.text.startswith("{") is is_json
    assert "orders-0@1" in stream.text


def test_a_console_that_is_no_terminal_gets_no_colours() -> None:
    stream = Stream()
    logs.set_up("info", "console", stream)
    structlog.get_logger().info("x.done")
    assert "\x1b" not in stream.text


def test_what_libraries_log_is_written_the_same_way_from_warnings_on() -> None:
    stream = Stream()
    logs.set_up("info", "json", stream)
    logging.getLogger("aiokafka.consumer").info("chatter")
    logging.getLogger("aiokafka.consumer").warning("trouble with %s", "orders-0")
    (line,) = stream.lines
    assert line["event"] == "trouble with orders-0"
    assert (line["level"], line["logger"]) == ("warning", "aiokafka.consumer")


def many(*facts: dict[str, Any]) -> None:
    lines = logs.Lines("x.done", endpoint="crm")
    lines.write((1_700_000_000.25 + number, one) for number, one in enumerate(facts))


def test_lines_written_together_look_as_if_each_was_written_alone() -> None:
    together, alone = Stream(), Stream()
    logs.set_up("info", "json", together)
    many({"status": 200, "entity": None}, {"status": 201, "entity": "é\n"})
    logs.set_up("info", "json", alone)
    log = structlog.get_logger().bind(endpoint="crm")
    log.info("x.done", status=200, entity=None)
    log.info("x.done", status=201, entity="é\n")
    assert [list(line) for line in together.lines] == [list(line) for line in alone.lines]
    instants = [line.pop("timestamp") for line in together.lines]
    assert instants == ["2023-11-14T22:13:20.250000Z", "2023-11-14T22:13:21.250000Z"]
    for one, other in zip(together.lines, alone.lines, strict=True):
        assert one | {"timestamp": ""} == other | {"timestamp": ""}


@pytest.mark.parametrize(("level", "shown"), [("debug", 1), ("info", 1), ("warning", 0)])
def test_lines_written_together_are_of_level_info(level: str, shown: int) -> None:
    stream = Stream()
    logs.set_up(level, "json", stream)
    many({"status": 200})
    assert len(stream.lines) == shown


class FullDisk(io.BytesIO):
    """Takes nothing while it is full."""

    full = True

    def write(self, data: Any) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_a_log_that_cannot_be_written_fails_nobody_and_says_later_how_much_is_lost() -> None:
    disk = FullDisk()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer(serializer=logs._dumps)],
        logger_factory=logs._JsonFactory(disk, logging.INFO),
    )
    structlog.get_logger().error("x.failed")
    many({"status": 200}, {"status": 201})
    disk.full = False
    many({"status": 202})
    many({"status": 203})
    lost, *rest = map(json.loads, disk.getvalue().splitlines())
    assert (lost["event"], lost["lines"]) == (events.LOG_LOST, 3)
    assert [line["status"] for line in rest] == [202, 203]


def test_a_person_reads_them_as_text() -> None:
    logs.set_up("info", "json", Stream())
    stream = Stream()
    logs.set_up("info", "console", stream)
    many({"status": 200}, {"status": 201})
    assert [line.count("endpoint=crm") for line in stream.text.splitlines()] == [1, 1]


def test_names_of_events_are_a_noun_and_what_became_of_it_and_never_twice() -> None:
    names = [value for name, value in vars(events).items() if name.isupper()]
    assert len(names) == len(set(names)) > 20
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", name) for name in names)
