"""What tests of every ring may ask for: a real Kafka, a real receiver, bridges as processes.

A test that takes ``kafka`` is marked so. Where Kafka cannot run, such tests are skipped and the
summary says loudly what was not tested; with ``REQUIRE_KAFKA`` set (CI), they fail instead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = str(Path(__file__).parent.parent)
if ROOT not in sys.path:  # for a bare `pytest`: `python -m pytest` has it already
    sys.path.insert(0, ROOT)

from tests.support.bridge_process import BridgeProcess  # noqa: E402
from tests.support.receiver import Receiver  # noqa: E402

_why_no_kafka = pytest.StashKey[str]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that needs the broker, so that ``-m "not kafka"`` never starts one."""
    for item in items:
        if {"kafka", "sasl_kafka"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")


def _broker(request: pytest.FixtureRequest, *, sasl: bool) -> Iterator[Any]:
    from tests.support.kafka import KafkaMissing, RealKafka

    try:
        broker = RealKafka(sasl=sasl)
    except KafkaMissing as missing:
        if os.environ.get("REQUIRE_KAFKA"):
            pytest.fail(f"REQUIRE_KAFKA is set, but {missing}", pytrace=False)
        request.config.stash[_why_no_kafka] = str(missing)
        pytest.skip(f"no real Kafka: {missing}")
    broker.start()
    yield broker
    if request.session.testsfailed:
        broker.kill()
        print(f"\nKafka's logs are kept in {broker.folder}")
    else:
        broker.close()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Any]:
    """One broker for all tests (``RealKafka``): take a ``fresh_topic`` and a group name of your own."""
    yield from _broker(request, sasl=False)


@pytest.fixture(scope="module")
def sasl_kafka(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A broker with a SASL listener as well, for one module."""
    yield from _broker(request, sasl=True)


@pytest.fixture(scope="session")
def _receiver_process() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def receiver(_receiver_process: Receiver) -> Receiver:
    """A receiver that has seen nothing yet and answers 200. A test that stops it makes its own."""
    _receiver_process.reset()
    return _receiver_process


@pytest.fixture
def bridges(tmp_path: Path) -> Iterator[Callable[[Mapping[str, Any]], BridgeProcess]]:
    """Makes bridge processes (not started yet) and kills what is left of them after the test."""
    made: list[BridgeProcess] = []

    def make(config: Mapping[str, Any], **options: Any) -> BridgeProcess:
        made.append(BridgeProcess(config, tmp_path / f"bridge-{len(made)}", **options))
        return made[-1]

    yield make
    for bridge in made:
        bridge.kill()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """A skip nobody sees would pass for a proof."""
    why = config.stash.get(_why_no_kafka, None)
    if why:
        terminalreporter.section("NOT TESTED: real Kafka", sep="!", red=True, bold=True)
        terminalreporter.line(f"NOT TESTED: everything that needs real Kafka, because {why}.")
