"""How logs are written: one line per event, JSON for machines, coloured on a terminal.

Everything goes through structlog, the standard library's loggers (aiokafka's) included.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import orjson
import structlog


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
        factory = structlog.BytesLoggerFactory(file=out.buffer)
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


def _dumps(value: Any, default: Any = None, **_: Any) -> bytes:
    return orjson.dumps(value, default=default or str, option=orjson.OPT_NON_STR_KEYS)


def _dumps_text(value: Any, default: Any = None, **_: Any) -> str:
    return _dumps(value, default).decode()
