"""How logs are written: one line per event, JSON for machines, coloured on a terminal.

Everything goes through structlog, the standard library's loggers (aiokafka's) included.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, BinaryIO, TextIO

import orjson
import structlog

from bridge.telemetry import events

_SELDOM_S = 60.0
_REMEMBERED = 1000
_EPOCH = datetime(1970, 1, 1)  # without a zone: its text then needs no cutting


class _Patient:
    """A stream that fails (disk full, reader gone) without failing those who write to it.

    A bridge that cannot say what it delivers delivers all the same. What cannot be written is lost; how many
    lines that were is written before the first that can be again.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lost = 0

    def write(self, data: bytes) -> None:
        """Whole lines."""
        lines = data.count(b"\n")
        if self._lost:
            instant = _instant(time.time())
            said = {"lines": self._lost, "event": events.LOG_LOST, "level": "error", "timestamp": instant}
            data = orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE) + data
        try:
            self._out.write(data)
            self._out.flush()
        except OSError:
            self._lost += lines
        else:
            self._lost = 0

    def flush(self) -> None:
        """Nothing: a line is out when it is written."""


class _JsonFactory(structlog.BytesLoggerFactory):
    """What structlog writes JSON through, known to ``Lines`` as well."""

    def __init__(self, out: BinaryIO, level: int) -> None:
        self.out = _Patient(out)
        self.level = level
        super().__init__(self.out)  # type: ignore[arg-type]


class Seldom(logging.Filter):
    """Lets a library say the same thing once a minute, with how often it was said since.

    aiokafka writes some sixty lines a second while a broker is away.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line is written."""
        key, now = (record.name, record.getMessage()), self._clock()
        at, left_out = self._said.get(key, (None, 0))
        if at is not None and now - at < _SELDOM_S:
            self._said[key] = (at, left_out + 1)
            return False
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said[key] = (now, 0)
        if left_out:
            record.msg, record.args = f"{key[1]} (and {left_out} times before)", ()
        return True


def set_up(level: str, style: str, stream: TextIO | None = None) -> None:
    """Set up logging: ``style`` is ``json``, ``console``, or ``auto`` (a terminal gets colours)."""
    out = stream or sys.stdout
    console = style == "console" or (style == "auto" and out.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any
    if console:
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty())
        factory: Any = structlog.WriteLoggerFactory(file=out)
        own = [*shared, structlog.processors.format_exc_info, renderer]
    else:
        renderer = structlog.processors.JSONRenderer(serializer=_dumps_text)
        factory = _JsonFactory(out.buffer, number)
        own = [
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ]
    structlog.configure(
        processors=own,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.addFilter(Seldom())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


class Lines:
    """Lines about one kind of event, many at a time, at level info.

    They look as if structlog had written each; JSON in one go costs a sixth, and there is a line for every
    event that is delivered.
    """

    def __init__(self, event: str, **facts: Any) -> None:
        """``facts`` are the same in all lines."""
        self._event = event
        self._facts = facts

    def write(self, told: Iterable[tuple[float, dict[str, Any]]]) -> None:
        """One line for each instant (Unix seconds) and what is to be said of it."""
        factory = structlog.get_config()["logger_factory"]
        if not isinstance(factory, _JsonFactory):
            log = structlog.get_logger().bind(**self._facts)
            for _, facts in told:
                log.info(self._event, **facts)
        elif factory.level <= logging.INFO:
            factory.out.write(b"".join([self._line(at_s, facts) for at_s, facts in told]))

    def _line(self, at_s: float, facts: dict[str, Any]) -> bytes:
        line = {**self._facts, **facts, "event": self._event, "level": "info", "timestamp": _instant(at_s)}
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _instant(at_s: float) -> str:
    return (_EPOCH + timedelta(seconds=at_s)).isoformat(timespec="microseconds") + "Z"


def _dumps(value: Any, default: Any = None, **_: Any) -> bytes:
    return orjson.dumps(value, default=default or str, option=orjson.OPT_NON_STR_KEYS)


def _dumps_text(value: Any, default: Any = None, **_: Any) -> str:
    return _dumps(value, default).decode()
