"""How logs are written: one line per event, as JSON, or as text on a terminal."""

from __future__ import annotations

import ast
import inspect
import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

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
    root.handlers[:] = []  # pytest's own: basicConfig(force=True) would close them
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_json_line_has_the_event_its_level_and_a_utc_timestamp() -> None:
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
def test_lines_below_the_level_are_not_written(level: str, shown: int) -> None:
    stream = Stream()
    logs.set_up(level, "json", stream)
    log = structlog.get_logger()
    for write in (log.debug, log.info, log.warning, log.error):
        write("x")
    assert len(stream.lines) == shown


def test_an_exception_is_one_json_line_with_its_traceback() -> None:
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
def test_auto_means_text_on_a_terminal_and_json_elsewhere(style: str, terminal: bool, is_json: bool) -> None:
    stream = Stream(terminal)
    logs.set_up("info", style, stream)
    structlog.get_logger().info("x.done", place="orders-0@1")
    assert stream.text.startswith("{") is is_json
    assert "orders-0@1" in stream.text


def test_console_style_has_no_colors_when_the_output_is_not_a_terminal() -> None:
    stream = Stream()
    logs.set_up("info", "console", stream)
    structlog.get_logger().info("x.done")
    assert "\x1b" not in stream.text


def test_warnings_of_libraries_are_written_in_the_same_format() -> None:
    stream = Stream()
    logs.set_up("info", "json", stream)
    logging.getLogger("aiokafka.consumer").info("chatter")
    logging.getLogger("aiokafka.consumer").warning("failed for %s", "orders-0")
    (line,) = stream.lines
    assert line["event"] == "failed for orders-0"
    assert (line["level"], line["logger"]) == ("warning", "aiokafka.consumer")


def write_together(*facts: dict[str, Any]) -> None:
    lines = logs.Lines("x.done", tuple(facts[0]), endpoint="crm")
    instants = [1_700_000_000.25 + number for number in range(len(facts))]
    lines.write(instants, zip(*map(dict.values, facts), strict=True))


def test_lines_written_together_look_as_if_each_was_written_alone() -> None:
    together, alone = Stream(), Stream()
    logs.set_up("info", "json", together)
    write_together({"status": 200, "entity": None}, {"status": 201, "entity": "é\n"})
    logs.set_up("info", "json", alone)
    log = structlog.get_logger().bind(endpoint="crm")
    log.info("x.done", status=200, entity=None)
    log.info("x.done", status=201, entity="é\n")
    assert [list(line) for line in together.lines] == [list(line) for line in alone.lines]
    instants = [line.pop("timestamp") for line in together.lines]
    assert instants == ["2023-11-14T22:13:20.250000Z", "2023-11-14T22:13:21.250000Z"]
    for line, other in zip(together.lines, alone.lines, strict=True):
        assert line | {"timestamp": ""} == other | {"timestamp": ""}


def test_texts_that_look_like_the_borders_of_a_line_do_not_tear_it() -> None:
    stream = Stream()
    logs.set_up("info", "json", stream)
    texts = ['},{"a":1', ',"timestamp":', '\\"},{\\"', "\\", '"', '}\n{"', "[{", "}]", ""]
    texts += ["},{", '"},{', 'Z"},{', "Z},{", ",", '{"', '0Z"},{"entity']
    texts += ['",\n  "', ",\n  ", "[\n  ", "\n]", "%b", "%", "%%", "\r\n"]
    write_together(*({"entity": text, "status": 200, "place": text} for text in texts))
    assert [(line["entity"], line["place"]) for line in stream.lines] == [(text, text) for text in texts]
    assert {line["event"] for line in stream.lines} == {"x.done"}
    assert {line["endpoint"] for line in stream.lines} == {"crm"}


VALUES = st.sampled_from([None, "", "a", "%b", ',\n  "']) | st.integers(-3, 3)


@given(st.lists(st.tuples(VALUES, VALUES, st.floats(0, 1)), min_size=1, max_size=5))
def test_each_line_has_its_own_values_however_many_lines_share_them(rows: list[tuple[Any, ...]]) -> None:
    stream = Stream()
    logs.set_up("info", "json", stream)
    write_together(*({"a": a, "b": b, "c": c} for a, b, c in rows))
    assert [(line["a"], line["b"], line["c"]) for line in stream.lines] == rows


def test_a_percent_sign_in_what_all_lines_have_in_common_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream()
    logs.set_up("info", "json", stream)
    monkeypatch.setattr(logs, "_labels", {"worker": "50%b"})
    logs.Lines("x.done", ("a%", "b"), endpoint="%d").write([0.0, 1.0], [["%s", "y"], [1, 2]])
    first, second = stream.lines
    assert [*first] == ["endpoint", "a%", "b", "worker", "event", "level", "timestamp"]
    assert (first["endpoint"], first["worker"], first["a%"], first["b"]) == ("%d", "50%b", "%s", 1)
    assert (second["a%"], second["b"], second["timestamp"]) == ("y", 2, "1970-01-01T00:00:01Z")


def test_half_of_a_surrogate_pair_costs_no_line() -> None:
    stream = Stream()
    logs.set_up("info", "json", stream)
    write_together({"entity": "a"}, {"entity": "b\ud800c"}, {"entity": None})
    assert [line["entity"] for line in stream.lines] == ["a", "b?c", None]


@pytest.mark.parametrize(("level", "shown"), [("debug", 1), ("info", 1), ("warning", 0)])
def test_lines_written_together_have_level_info(level: str, shown: int) -> None:
    stream = Stream()
    logs.set_up(level, "json", stream)
    write_together({"status": 200})
    assert len(stream.lines) == shown


class FullDisk(io.BytesIO):
    """Refuses every write while it is full."""

    full = True

    def write(self, data: Any) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_an_unwritable_log_raises_nothing_and_later_reports_how_many_lines_were_lost() -> None:
    disk = FullDisk()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer(serializer=logs._dumps)],
        logger_factory=logs._JsonFactory(disk, logging.INFO),
    )
    structlog.get_logger().error("x.failed")
    write_together({"status": 200}, {"status": 201})
    disk.full = False
    write_together({"status": 202})
    write_together({"status": 203})
    lost, *rest = map(json.loads, disk.getvalue().splitlines())
    assert (lost["event"], lost["lines"]) == (events.LOG_LOST, 3)
    assert [line["status"] for line in rest] == [202, 203]


def test_lines_written_together_are_text_in_console_style() -> None:
    logs.set_up("info", "json", Stream())
    stream = Stream()
    logs.set_up("info", "console", stream)
    write_together({"status": 200}, {"status": 201})
    assert [line.count("endpoint=crm") for line in stream.text.splitlines()] == [1, 1]


def test_event_names_are_unique_and_have_the_form_noun_dot_participle() -> None:
    names = [value for name, value in vars(events).items() if name.isupper()]
    assert len(names) == len(set(names)) > 20
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", name) for name in names)


def test_every_event_has_a_docstring_of_two_paragraphs_meaning_and_when_to_worry() -> None:
    statements = ast.parse(inspect.getsource(events)).body
    for constant, text in zip(statements, [*statements[1:], None], strict=True):
        if isinstance(constant, ast.AnnAssign):
            assert isinstance(text, ast.Expr), ast.unparse(constant)
            assert isinstance(text.value, ast.Constant), ast.unparse(constant)
            assert str(text.value.value).count("\n\n") == 1, ast.unparse(constant)


def test_every_line_of_a_worker_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also lines of libraries, and those that are written in batches past structlog."""
    monkeypatch.setattr(logs, "_labels", {})
    out = Stream()
    logs.label_lines(worker=2)
    logs.set_up("info", "json", out)
    structlog.get_logger().info("one.logged", worker="another")
    logging.getLogger("aiokafka").warning("from a library")
    logs.Lines("delivery.attempted", ("status",), endpoint="crm").write([0.0], [[200]])
    assert [json.loads(line)["worker"] for line in out.text.splitlines()] == [2, 2, 2]
