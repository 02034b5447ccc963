"""What tests of every ring may ask for: a real Kafka, a real receiver, bridges as processes.

A test that takes ``kafka`` is marked so. Where Kafka cannot run, such tests are skipped and the
summary says loudly what was not tested; with ``REQUIRE_KAFKA`` set (CI), they fail instead.

``make test`` runs the files of tests in several processes (pytest-xdist), each with a broker and a
receiver of its own; what they have to say at the end goes to the one process that a person reads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
ROOT = str(TESTS.parent)
if ROOT not in sys.path:  # for a bare `pytest`: `python -m pytest` has it already
    sys.path.insert(0, ROOT)

from tests.support.bridge_process import BridgeProcess  # noqa: E402
from tests.support.receiver import Receiver  # noqa: E402

NO_KAFKA = "no real Kafka: "
RINGS = ("integration", "e2e", "faults", "property", "contract", "unit")
"""From the folder whose files take a minute to the one whose files take moments. The faults, which load the
machine, come when the rest needs nothing but computing: most of the tests before them measure sessions and
deadlines, and none of those after them does.
"""
_kept_logs = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Room for what is said at the end."""
    config.stash[_kept_logs] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test that needs the broker, so that ``-m "not kafka"`` never starts one.

    In one of several processes the long files come first: a process takes the next file when it is
    done with one, and the short ones at the end let all of them finish at about the same time.
    """
    for item in items:
        if {"kafka", "sasl_kafka"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")
    if hasattr(config, "workerinput"):
        places = {ring: place for place, ring in enumerate(RINGS)}
        items.sort(key=lambda item: places.get(item.path.relative_to(TESTS).parts[0], 0))


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
    """One broker (``RealKafka``) for all tests of a process: take a ``fresh_topic`` and your own group."""
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


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes hands on what it has to say."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["kept_logs"] = session.config.stash[_kept_logs]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """One of several processes has ended: what it handed on (nothing, where it died)."""
    node.config.stash[_kept_logs] += getattr(node, "workeroutput", {}).get("kept_logs", [])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """A skip nobody sees would pass for a proof."""
    for folder in config.stash[_kept_logs]:
        terminalreporter.line(f"Kafka's logs are kept in {folder}")
    skips = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])]
    for why in sorted({skip.partition(NO_KAFKA)[2] for skip in skips if NO_KAFKA in skip}):
        terminalreporter.section("NOT TESTED: real Kafka", sep="!", red=True, bold=True)
        terminalreporter.line(f"NOT TESTED: everything that needs real Kafka, because {why}.")
