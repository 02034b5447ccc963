"""How logs are written: one line per event, as JSON, or colored on a terminal.

Everything goes through structlog, including the standard library's loggers, which aiokafka uses. Invariant:
no line contains a secret in force, tracebacks included. ``Lines`` alone is not searched: its lines contain
nothing that a receiver or a broker wrote.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from datetime import UTC, datetime
from itertools import repeat
from typing import Any, BinaryIO, TextIO

import orjson
import structlog

from bridge.telemetry import events
from bridge.telemetry.scrub import in_force
from bridge.telemetry.throttle import INTERVAL_S, Throttle

_OWN_FIELDS = frozenset({"level", "timestamp", "logger"})
_labels: dict[str, Any] = {}
"""The fields of every line of this process."""
_BETWEEN = b",\n  "
"""Stands between two values of a list in JSON with indents. No value contains it: line breaks are escaped."""


class LossyStream:
    """A stream whose errors (disk full, reader gone) do not reach the code that logs.

    Deliveries must go on while logs cannot be written. Lines that cannot be written are lost. Their number is
    written before the next line that can be.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lost = 0

    def write(self, data: bytes) -> None:
        """Write whole lines, or count them as lost."""
        lines = data.count(b"\n")
        if self._lost:
            instant = _instant(time.time())
            report = {"lines": self._lost, "event": events.LOG_LOST, "level": "error", "timestamp": instant}
            data = orjson.dumps(report, option=orjson.OPT_APPEND_NEWLINE) + data
        try:
            self._out.write(data)
            self._out.flush()
        except OSError:
            self._lost += lines
        else:
            self._lost = 0

    def flush(self) -> None:
        """Do nothing: ``write`` flushes."""


class _JsonFactory(structlog.BytesLoggerFactory):
    """Makes structlog's JSON loggers. ``Lines`` writes to the same stream, past structlog."""

    def __init__(self, out: BinaryIO, level: int) -> None:
        self.out = LossyStream(out)
        self.level = level
        super().__init__(self.out)  # type: ignore[arg-type]  # structlog uses only write and flush

    def pass_from(self, level: int) -> None:
        """Write lines of this level and above."""
        self.level = level


class RepeatFilter(logging.Filter):
    """Passes the same message of a library once per minute, with how often it was suppressed since.

    aiokafka writes about sixty lines per second while a broker is away.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._throttle = Throttle(INTERVAL_S, clock)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if this line is written."""
        message = record.getMessage()
        key = (record.name, message)
        suppressed = self._throttle.suppressed(key)
        if not self._throttle.allows(key):
            return False
        if suppressed:
            record.msg, record.args = f"{message} (and {suppressed} times before)", ()
        return True


def scrub_line(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Remove the secrets in force from all values of a line: the last step before it is written."""
    return {
        name: value if name in _OWN_FIELDS else in_force.scrub_value(value) for name, value in line.items()
    }


class _Leveled(structlog.make_filtering_bound_logger(logging.DEBUG)):  # type: ignore[misc]  # made at run time
    """The loggers of the process. They are kept where they are used, so their level changes in this class."""

    passes_from = logging.INFO

    @classmethod
    def pass_from(cls, number: int) -> None:
        """Write lines of this level and above, and no others, in every logger that exists."""
        cls.passes_from = number
        for name, method in vars(structlog.make_filtering_bound_logger(number)).items():
            if callable(method) and not name.startswith("_"):
                setattr(cls, name, method)


def shows_debug() -> bool:
    """Return True if lines of level debug are written."""
    return _Leveled.passes_from <= logging.DEBUG


def set_level(level: str) -> None:
    """Change the level of a log that was set up."""
    number = logging.getLevelNamesMapping()[level.upper()]
    _Leveled.pass_from(number)
    factory = structlog.get_config()["logger_factory"]
    if isinstance(factory, _JsonFactory):
        factory.pass_from(number)
    logging.getLogger().setLevel(max(number, logging.WARNING))


def label_lines(**fields: Any) -> None:
    """Add these fields to every line that this process writes from now on."""
    _labels.update(fields)


def _add_labels(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    line.update(_labels)
    return line


def set_up(level: str, style: str, stream: TextIO | None = None) -> None:
    """Set up logging: ``style`` is ``json``, ``console``, or ``auto`` (text on a terminal, else JSON)."""
    out = stream or sys.stdout
    console = style == "console" or (style == "auto" and out.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    _Leveled.pass_from(number)
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_labels,
    ]
    renderer: Any
    if console:
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty())
        factory: Any = structlog.WriteLoggerFactory(file=out)
        own = [*shared, structlog.processors.format_exc_info, scrub_line, renderer]
    else:
        renderer = structlog.processors.JSONRenderer(serializer=_dumps_text)
        factory = _JsonFactory(out.buffer, number)
        own = [
            *shared,
            structlog.processors.format_exc_info,
            scrub_line,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ]
    structlog.configure(
        processors=own,
        wrapper_class=_Leveled,
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.addFilter(RepeatFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                scrub_line,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


class Lines:
    """Writes many lines of one log event at once, at level info.

    The result looks as if structlog had written each. There is a line for every delivered event, and making
    the JSON of many at once costs a fifth.
    """

    def __init__(self, event: str, fields: Sequence[str], **facts: Any) -> None:
        """``fields``: those in which lines differ. ``facts``: what is the same in all lines."""
        self._event = event
        self._fields = fields
        self._facts = facts

    def write(self, instants: Iterable[float], columns: Iterable[Sequence[Any]]) -> None:
        """Write one line for each instant (Unix seconds); at least one.

        ``columns`` has for each field its value in every line: texts, numbers or None, all of one type but
        for None.
        """
        factory = structlog.get_config()["logger_factory"]
        if not isinstance(factory, _JsonFactory):
            log = structlog.get_logger().bind(**self._facts)
            for row in zip(*columns, strict=True):
                log.info(self._event, **dict(zip(self._fields, row, strict=True)))
        elif factory.level <= logging.INFO:
            factory.out.write(self._encoded(instants, columns))

    def _encoded(self, instants: Iterable[float], columns: Iterable[Sequence[Any]]) -> bytes:
        """Return the lines as bytes: the parts of each line in turns."""
        parts = self._parts([*map(datetime.fromtimestamp, instants, repeat(UTC))], columns)
        pieces = [b""] * (len(parts) * len(parts[0]))
        for place, part in enumerate(parts):
            pieces[place :: len(parts)] = part
        return b"".join(pieces)

    def _parts(self, times: Sequence[datetime], columns: Iterable[Sequence[Any]]) -> list[list[bytes]]:
        """Return for each part of a line what it is in each of them.

        The values of a column are encoded as one list. If all are equal, they are part of the text between.
        """
        parts, text = list[list[bytes]](), b"{" + _inside(self._facts)
        for field, column in zip(self._fields, columns, strict=True):
            text += b",%b:" % orjson.dumps(field)
            first = column[0]
            if first == column[-1] and column.count(first) == len(times):
                text += _encoded_each([first])[0]
            else:
                parts += [text] * len(times), _encoded_each(column)
                text = b""
        text += b',%b,"timestamp":' % _inside(_labels | {"event": self._event, "level": "info"})
        return [*parts, [text] * len(times), _encoded_each(times), [b"}\n"] * len(times)]


def _inside(fields: dict[str, Any]) -> bytes:
    """Return the JSON of fields without its braces."""
    return orjson.dumps(fields)[1:-1]


def _encoded_each(values: Sequence[Any]) -> list[bytes]:
    """Return the JSON of each of these texts, numbers, instants and None; there is at least one."""
    option = orjson.OPT_UTC_Z | orjson.OPT_INDENT_2
    try:
        encoded = orjson.dumps(values, option=option)
    except TypeError:  # a text with half of a surrogate pair
        encoded = orjson.dumps([*map(_plain, values)], option=option)
    return encoded.removeprefix(b"[\n  ").removesuffix(b"\n]").split(_BETWEEN)


def _plain(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _instant(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _dumps(value: Any, default: Any = None, **_: Any) -> bytes:
    return orjson.dumps(value, default=default or str, option=orjson.OPT_NON_STR_KEYS)


def _dumps_text(value: Any, default: Any = None, **_: Any) -> str:
    return _dumps(value, default).decode()
