"""The promise under faults, the short form; ``make faults`` is the long one."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.faults.harness import arguments, run
from tests.support.kafka import RealKafka


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_nothing_is_lost_inverted_overlapping_or_repeated_without_a_reason(
    kafka: RealKafka, tmp_path: Path
) -> None:
    """Every grave kind of fault once, 15,000 events to four endpoints; the seed is fixed, the races are not.

    ``kafka`` is not used but for its presence: the harness kills its broker, so it has one of its own.
    """
    file = tmp_path / "faults.json"
    words = "--seconds 75 --events 15000 --faults 20 --seed 4 --drain-seconds 60"
    held = run(arguments([*words.split(), "--json", str(file)]))
    found = orjson.loads(file.read_bytes())
    assert held, found["troubles"] + found["storms"] + found["endpoints"]
