"""The guarantees under faults, in a short run; ``make faults`` is the long one."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.faults.harness import arguments, run
from tests.support.kafka import RealKafka


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_lost_inverted_overlapping_or_repeated_without_a_reason(
    kafka: RealKafka, tmp_path: Path
) -> None:
    """Inject every kind of fault once, with 15,000 events to seven endpoints.

    The seed is fixed, the races are not. The test requests ``kafka`` only for its skip and its marker: the
    harness kills its broker, so it starts another one.
    """
    file = tmp_path / "faults.json"
    words = "--seconds 80 --events 15000 --faults 26 --seed 4 --drain-seconds 90"
    held = run(arguments([*words.split(), "--json", str(file)]))
    report = orjson.loads(file.read_bytes())
    assert held, report["problems"] + report["storms"] + report["endpoints"]
