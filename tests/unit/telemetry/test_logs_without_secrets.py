"""No line of the log contains a secret: fields, tracebacks, lines of libraries, and every style."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from bridge.telemetry import logs
from bridge.telemetry.scrub import in_force
from bridge.telemetry.secret_forms import Secret
from tests.support.canaries import ENCODERS, find_canaries

CANARY = "canary-7f3a9/5c1e2+8d4b6"
log = structlog.get_logger


@pytest.fixture(params=["json", "console"])
def stream(request: pytest.FixtureRequest) -> Iterator[io.TextIOWrapper]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    logs.set_up("debug", request.param, stream)
    in_force.learn([Secret(CANARY)])
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    text = stream.buffer.getvalue().decode()
    assert text, "something was logged"
    assert not find_canaries(text.encode(), [CANARY]), text
    return text


@pytest.mark.parametrize("form", ENCODERS)
def test_a_field_is_written_without_a_secret(stream: io.TextIOWrapper, form: str) -> None:
    log().warning("x.failed", reason=f"got {ENCODERS[form](CANARY)}", place="orders-0@1")
    assert "orders-0@1" in written(stream)


def test_nested_values_bytes_and_objects_are_written_without_a_secret(stream: io.TextIOWrapper) -> None:
    log().warning("x.failed", many=[{"a": (CANARY,)}], raw=CANARY.encode(), error=ValueError(CANARY))
    written(stream)


def test_a_traceback_is_written_without_a_secret(stream: io.TextIOWrapper) -> None:
    try:
        try:
            raise ValueError(f"inner {CANARY}")
        except ValueError as exc:
            raise RuntimeError(f"outer {CANARY!r}") from exc
    except RuntimeError:
        log().exception("x.failed")
    assert "Traceback" in written(stream)


def test_a_line_of_a_library_is_written_without_a_secret(stream: io.TextIOWrapper) -> None:
    library = logging.getLogger("aiokafka.conn")
    library.warning("login failed for %s", CANARY)
    try:
        raise OSError(f"refused: {CANARY}")
    except OSError:
        library.exception("request %s failed", CANARY)
    assert "Traceback" in written(stream)


def test_the_unhandled_error_of_a_task_is_written_without_a_secret(stream: io.TextIOWrapper) -> None:
    logging.getLogger("asyncio").error(
        "Task exception was never retrieved", exc_info=RuntimeError(f"proxy {CANARY}")
    )
    written(stream)
