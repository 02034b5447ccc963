"""Fixtures for tests of every ring: a real Kafka, a real receiver, bridges as processes.

A test that requests ``kafka`` gets the marker of that name. Where Kafka cannot run, such tests are skipped,
and the summary lists prominently what was not tested; with ``REQUIRE_KAFKA`` set (CI), they fail instead.

``make test`` distributes the test files to several processes (pytest-xdist), each with its own broker and
receiver. Their final messages are sent to the main process, which prints them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent
ROOT = str(TESTS.parent)
if ROOT not in sys.path:  # for a bare `pytest`: `python -m pytest` has it already
    sys.path.insert(0, ROOT)

from tests.support.bridge_process import BridgeProcess  # noqa: E402
from tests.support.console_process import ConsoleProcess  # noqa: E402
from tests.support.receiver import Receiver  # noqa: E402

NO_KAFKA = "no real Kafka: "
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell lets its background jobs ignore Ctrl-C, and the commands that the tests start would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
RINGS = ("integration", "e2e", "faults", "property", "contract", "unit")
"""From the folder whose files take a minute to the one whose files take a moment. The faults load the
machine, so they run next to tests that only compute: most of the folders before them use sessions and
deadlines, and none of the folders after them does.
"""
_kept_logs = pytest.StashKey[list[str]]()
# A machine with a load of 20 draws examples slowly and runs them slowly: neither is a fault of the test. With
# CI set, Hypothesis loads a profile of its own that says the same.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if "CI" not in os.environ:
    settings.load_profile("busy")


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the list of kept logs for the summary."""
    config.stash[_kept_logs] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test that needs the broker, so that ``-m "not kafka"`` never starts one.

    In parallel runs, the long files come first. A process takes the next file when it has finished one, so
    short files at the end let all processes finish at about the same time.
    """
    for item in items:
        if {"kafka", "sasl_kafka"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")
    if hasattr(config, "workerinput"):
        places = {ring: place for place, ring in enumerate(RINGS)}
        items.sort(key=lambda item: places.get(item.path.relative_to(TESTS).parts[0], 0))


@pytest.fixture(autouse=True)
def _loggers_are_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a module's logger from writing to the stream of the test that first used it."""
    configure = structlog.configure
    monkeypatch.setattr(
        structlog,
        "configure",
        lambda **settings: configure(**settings | {"cache_logger_on_first_use": False}),
    )


def _broker(request: pytest.FixtureRequest, *, sasl: bool) -> Iterator[Any]:
    from tests.support.kafka import KafkaMissing, RealKafka

    try:
        broker = RealKafka(sasl=sasl)
    except KafkaMissing as missing:
        if os.environ.get("REQUIRE_KAFKA"):
            pytest.fail(f"REQUIRE_KAFKA is set, but {missing}", pytrace=False)
        pytest.skip(f"{NO_KAFKA}{missing}")
    broker.start()
    yield broker
    if request.session.testsfailed:
        request.config.stash[_kept_logs].append(str(broker.keep()))
    else:
        broker.close()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Any]:
    """One broker (``RealKafka``) for all tests of a process: use a ``fresh_topic`` and a unique group."""
    yield from _broker(request, sasl=False)


@pytest.fixture(scope="module")
def sasl_kafka(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A broker that also has a SASL listener, for one module."""
    yield from _broker(request, sasl=True)


@pytest.fixture(scope="session")
def _receiver_process() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def receiver(_receiver_process: Receiver) -> Receiver:
    """A receiver without requests that answers 200. A test that stops it must start its own."""
    _receiver_process.reset()
    return _receiver_process


@pytest.fixture
def bridges(tmp_path: Path) -> Iterator[Callable[[Mapping[str, Any]], BridgeProcess]]:
    """Create bridge processes (not started yet), and kill the remaining ones after the test."""
    made: list[BridgeProcess] = []

    def make(config: Mapping[str, Any], **options: Any) -> BridgeProcess:
        made.append(BridgeProcess(config, tmp_path / f"bridge-{len(made)}", **{"forked": True} | options))
        return made[-1]

    yield make
    for bridge in made:
        bridge.kill()


@pytest.fixture
def consoles(tmp_path: Path) -> Iterator[Callable[..., ConsoleProcess]]:
    """Return what starts a console; all are killed at the end."""
    started: list[ConsoleProcess] = []

    def start(config: Mapping[str, Any], name: str = "console", token: str | None = None) -> ConsoleProcess:
        started.append(ConsoleProcess(config, tmp_path / name, token))
        return started[-1].start()

    yield start
    for console in started:
        console.kill()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the kept logs of a worker process to the main process."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["kept_logs"] = session.config.stash[_kept_logs]


@pytest.fixture(autouse=True)
def _secrets_are_forgotten() -> Iterator[None]:
    """Forget the secrets of the settings that a test read: the texts of later tests may contain them."""
    from bridge.telemetry.scrub import in_force

    yield
    in_force.forget()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Collect the kept logs of a worker process; there are none if it crashed."""
    node.config.stash[_kept_logs] += getattr(node, "workeroutput", {}).get("kept_logs", [])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print prominently what was skipped: an unnoticed skip looks like a passed test."""
    for folder in config.stash[_kept_logs]:
        terminalreporter.line(f"Kafka's logs are kept in {folder}")
    skips = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])]
    for why in sorted({skip.partition(NO_KAFKA)[2] for skip in skips if NO_KAFKA in skip}):
        terminalreporter.section("NOT TESTED: real Kafka", sep="!", red=True, bold=True)
        terminalreporter.line(f"NOT TESTED: everything that needs real Kafka, because {why}.")
