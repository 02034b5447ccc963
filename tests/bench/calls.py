"""How many function calls and byte codes an event costs on the path: ``python -m tests.bench.calls``.

The path of ``tests.bench.whole_path`` runs in this process. After a warm-up, every call of a function under
``bridge/`` is counted until the backlog is delivered. Comprehensions are not counted. The figures depend on
no machine and no load.

``--byte-codes`` counts the instructions of the interpreter instead, those of libraries included, and lists
the functions that execute most. An instruction that calls C is one, however long it takes. Only the thread
of the event loop is counted.

``--time`` runs the same work without counting, several times, and prints microseconds of CPU per
event: compare two commits in turns.

``--batch`` does the same with up to 100 events in a request.
"""

from __future__ import annotations

import argparse
import asyncio
import dis
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import bridge
from bridge.telemetry.logs import set_up
from tests.bench.whole_path import path

ROOT = str(Path(bridge.__file__).parent) + "/"
OWN = str(Path(__file__).parents[1]) + "/"
"""The benchmark's parts: it creates the records, and its fakes stand for Kafka and the receiver."""
COMPREHENSIONS = {"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"}
LISTED = 70


@contextmanager
def counting_calls(calls: Counter[CodeType]) -> Iterator[None]:
    """Count the calls of functions under ``bridge/``; a coroutine that goes on is no call."""
    starts: dict[CodeType, int] = {}

    def count(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(ROOT) and code.co_name not in COMPREHENSIONS:
            if code not in starts:
                starts[code] = next(
                    step.offset for step in dis.get_instructions(code) if step.opname == "RESUME"
                )
            calls[code] += frame.f_lasti <= starts[code]

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)


@contextmanager
def counting_byte_codes(byte_codes: Counter[CodeType]) -> Iterator[None]:
    """Count the instructions of every function that begins, or goes on, inside the block."""

    def enter(frame: FrameType, _: str, __: object) -> Callable[..., Any]:
        code = frame.f_code

        def step(_: FrameType, event: str, __: object) -> Callable[..., Any]:
            if event == "opcode":
                byte_codes[code] += 1
            return step

        frame.f_trace = step  # Python 3.14 looks for it when the next line asks for opcodes
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return step

    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(None)


Counting = Callable[[Counter[CodeType]], AbstractContextManager[None]]


async def count(events: int, counting: Counting, *, batches: bool = False) -> dict[CodeType, float]:
    """Return what one event costs, by function, as the mean of ``events`` events."""
    counts: Counter[CodeType] = Counter()
    async with path(batches=batches) as warm:
        produced = warm.reader.produce(events)
        with counting(counts):
            await warm.deliver(produced)
    return {code: number / events for code, number in counts.items()}


async def cpu_us(events: int, rounds: int, *, batches: bool = False) -> list[float]:
    """Microseconds of CPU per event, of each round."""
    found = []
    async with path(batches=batches) as warm:
        for _ in range(rounds):
            produced = warm.reader.produce(events)
            began = time.process_time()
            await warm.deliver(produced)
            found.append((time.process_time() - began) / events * 1e6)
    return found


def print_calls(per_event: dict[CodeType, float]) -> None:
    """Print the functions that most events call, by file, and the sum of all."""
    regular = {code: number for code, number in per_event.items() if number >= 0.5}
    for code, number in sorted(regular.items(), key=lambda item: (item[0].co_filename, -item[1])):
        print(f"{number:6.2f}  {code.co_filename.removeprefix(ROOT)}  {code.co_qualname}")
    files = {code.co_filename for code in regular}
    print(
        f"{sum(per_event.values()):.1f} calls per event; over {len(files)} files: {sum(regular.values()):.1f}"
    )


def print_byte_codes(per_event: dict[CodeType, float]) -> None:
    """Print the functions that execute most, and the sums of the program and of the benchmark itself."""
    for code, number in sorted(per_event.items(), key=lambda item: -item[1])[:LISTED]:
        place = code.co_filename.removeprefix(ROOT).rpartition("site-packages/")[2]
        print(f"{number:8.1f}  {place[-60:]}  {code.co_qualname}")
    own = sum(number for code, number in per_event.items() if code.co_filename.startswith(OWN))
    print(f"{sum(per_event.values()) - own:.0f} byte codes per event, and {own:.0f} of the benchmark itself")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4000)
    parser.add_argument("--batch", action="store_true", help="up to 100 events in a request")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--byte-codes", action="store_true")
    what.add_argument("--time", type=int, metavar="ROUNDS", default=0)
    options = parser.parse_args()
    set_up("info", "json", open(os.devnull, "w"))  # noqa: SIM115
    if options.time:
        rounds = asyncio.run(cpu_us(options.events, options.time, batches=options.batch))
        print(f"{statistics.median(rounds):.1f} µs of CPU per event (least {min(rounds):.1f})")
    elif options.byte_codes:
        print_byte_codes(asyncio.run(count(options.events, counting_byte_codes, batches=options.batch)))
    else:
        print_calls(asyncio.run(count(options.events, counting_calls, batches=options.batch)))


if __name__ == "__main__":
    main()
