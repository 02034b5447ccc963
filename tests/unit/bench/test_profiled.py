"""A sampled stack belongs to the step of its innermost frame of the project, and the steps share the CPU."""

from __future__ import annotations

import pytest

from tests.bench.profiled import LOOP, draw, shares

RUN = "main (bridge/cli/run.py:90)"
STACKS = [
    f"{RUN};_work (bridge/pipeline/dispatcher.py:240);send (bridge/http/lean.py:100);dumps (json.py:1) 6",
    f"{RUN};_work (bridge/pipeline/dispatcher.py:250) 2",
    f"{RUN};_proc (aiokafka/consumer/fetcher.py:4) 1",
    f"{RUN};run (asyncio/runners.py:118) 1",
    f"{RUN};_find_and_load (<frozen importlib._bootstrap>:1);<module> (bridge/http/tls.py:1) 90",
    "run (threading.py:982);_worker (concurrent/futures/thread.py:81) 50",
]


def test_each_sample_belongs_to_one_step_and_imports_to_none() -> None:
    found = {step: part for step, part in shares(STACKS).items() if part}
    assert found == {"HTTP": 0.6, "lanes and cursors": 0.2, "Kafka client": 0.1, LOOP: 0.1}


def test_the_picture_has_the_cpu_of_each_step() -> None:
    picture = draw({"Backlog": {step: 200 * part for step, part in shares(STACKS).items()}})
    assert "Backlog: 200 µs" in picture
    assert ">120<" in picture


def test_a_file_without_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        shares([])
