"""What every unit test leaves as it found it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _logging_is_put_back() -> Iterator[None]:
    """Commands run in this process set logging up for a terminal, which later tests must not inherit."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        logging.getLogger("aiokafka").setLevel(logging.NOTSET)
        root = logging.getLogger()
        root.setLevel(logging.WARNING)
        for handler in root.handlers[:]:
            if type(handler) is logging.StreamHandler:
                root.removeHandler(handler)
