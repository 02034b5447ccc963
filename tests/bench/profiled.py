"""Where the CPU of an event goes, by step of the path: a picture of sampled stacks.

    py-spy record --pid PID --rate 250 --format raw --output after.txt   (while `make bench CELLS=base` runs)
    python -m tests.bench.profiled --out docs/explanation/profile.svg \
        "Backlog, before=before.txt:232" "Backlog, after=after.txt:192"

Each argument is a title, a file of stacks (one per line: frames from the outside in, separated by semicolons,
and a number of samples), and the CPU time per event of that run in µs, which the samples divide among the
steps. A sample belongs to the innermost frame of the project or of aiokafka; without one, to the event loop.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tools.svg import Drawing

STEPS: Mapping[str, Sequence[str]] = {
    "Kafka client": ("aiokafka/", "bridge/kafka/"),
    "decode": ("bridge/formats/", "bridge/model/"),
    "intake: dedupe and routes": (
        "bridge/pipeline/intake", "bridge/pipeline/batch_routes", "bridge/pipeline/fresh",
        "bridge/pipeline/dedupe", "bridge/pipeline/pipeline", "bridge/pipeline/acceptance",
        "bridge/core/dedupe", "bridge/core/routing", "bridge/storage/dedupe",
    ),
    "lanes and cursors": (
        "bridge/pipeline/dispatcher", "bridge/pipeline/lane", "bridge/core/lanes", "bridge/core/cursor",
        "bridge/core/open_events", "bridge/core/memory", "bridge/pipeline/delivery",
        "bridge/pipeline/workers",
    ),
    "render and sign": ("bridge/rendering/", "bridge/core/signing/"),
    "attempt: limits and verdict": (
        "bridge/pipeline/attempt.py", "bridge/core/verdict", "bridge/core/limits/",
    ),
    "HTTP": ("bridge/http/",),
    "history": ("bridge/history/", "bridge/pipeline/shown", "bridge/pipeline/attempt_log.py"),
    "metrics and log lines": ("bridge/telemetry/",),
    "settle and commit": (
        "bridge/pipeline/checkpoints", "bridge/pipeline/commits", "bridge/pipeline/packing",
        "bridge/pipeline/group", "bridge/pipeline/changed", "bridge/storage/journal",
        "bridge/core/completion",
    ),
}  # fmt: skip
"""The steps in the order of the path, and the beginnings of the files that belong to each."""
LOOP, OTHER = "event loop and its system calls", "all else"
_FILE = re.compile(r"\(([^()]*):\d+\)$")
_WAITS = "_worker (concurrent/futures/thread.py"
"""A thread that waits for work: the profiler takes it to be busy."""
_ROW, _LEFT, _BAR = 19, 230, 260


def shares(lines: Iterable[str]) -> dict[str, float]:
    """Return the part of the samples of each step, without imports and threads that wait.

    Raises ``ValueError`` without samples.
    """
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, number = line.rstrip().rpartition(" ")
        frames = stack.split(";")
        if stack and "importlib" not in stack and not frames[-1].startswith(_WAITS):
            found[_step(frames)] += int(number)
    total = sum(found.values())
    if not total:
        raise ValueError("there are no samples")
    return {step: found[step] / total for step in (*STEPS, LOOP, OTHER)}


def _step(frames: Sequence[str]) -> str:
    for frame in reversed(frames):
        match = _FILE.search(frame)
        file = match[1] if match else ""
        if file.startswith("bridge/cli/run"):
            return LOOP
        if file.startswith(("bridge/", "aiokafka/")):
            return next((step for step, files in STEPS.items() if file.startswith(tuple(files))), OTHER)
    return LOOP


def draw(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Return the picture: a column of bars per run, with µs per event."""
    steps = [*STEPS, LOOP, OTHER]
    widest = max(us for column in columns.values() for us in column.values())
    size = _LEFT + len(columns) * _BAR, 60 + _ROW * len(steps)
    drawing = Drawing("CPU per event by step of the path, in microseconds", *size)
    for row, step in enumerate(steps):
        drawing.text((_LEFT - 10, 58 + row * _ROW), step, anchor="end")
    for place, (title, column) in enumerate(columns.items()):
        left = _LEFT + place * _BAR
        drawing.text((left, 28), f"{title}: {sum(column.values()):.0f} µs", anchor="start", bold=True)
        for row, step in enumerate(steps):
            width = max(1.0, column[step] / widest * (_BAR - 70))
            drawing.box((left, 47 + row * _ROW), (width, _ROW - 6), fill="#d9662b", line="#d9662b")
            drawing.text((left + width + 6, 58 + row * _ROW), f"{column[step]:.0f}", 11, anchor="start")
    return drawing.svg()


def main() -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", nargs="+", metavar="TITLE=FILE:US")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    columns = {}
    for run in options.runs:
        title, _, rest = run.partition("=")
        file, _, us = rest.rpartition(":")
        with open(file) as lines:
            columns[title] = {step: part * float(us) for step, part in shares(lines).items()}
    options.out.write_text(draw(columns))


if __name__ == "__main__":
    main()
