"""CPU of an event on the whole path with the real transport: ``python -m tests.bench.sent``.

As ``calls --time``, but the requests leave over real connections on loopback, to a receiver in a process
of its own that answers as fast as it can. Kafka stays out, so what is left is the bridge: intake, lanes,
attempt, transport, history, commits. Compare two commits in turns: absolute figures drift with the machine.

``--profile`` lists the functions that take the most time of their own; a profiler makes calls more
expensive than what they do, so it finds places and proves nothing.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import multiprocessing
import os
import pstats
import statistics
import tempfile
import time
from ipaddress import ip_network
from pathlib import Path

import uvloop

from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from bridge.settings import load
from bridge.telemetry.logs import set_up
from tests.bench.transport import receive
from tests.bench.whole_path import SETTINGS, WholePath


async def measure(
    port: int, events: int, rounds: int, profile: cProfile.Profile | None
) -> list[tuple[float, float]]:
    """Return the microseconds of CPU per event, of each round."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "bridge.yaml")
        text = SETTINGS.format(folder=folder, batch="")
        text = text.replace("https://receiver.example", f"http://127.0.0.1:{port}")
        file.write_text(text + "egress: {allow: [127.0.0.0/8]}\n")
        transport = LeanTransport(EgressPolicy([ip_network("127.0.0.0/8")]), max_connections=64)
        path = WholePath(load(file, {}), transport)
        async with path.running():
            await path.deliver(path.reader.produce(2000))
            gc.collect()
            gc.freeze()  # as the application does after its start
            for _ in range(rounds):
                produced = path.reader.produce(events)
                began, kernel_began = time.process_time(), os.times().system
                if profile:
                    profile.enable()
                await path.deliver(produced)
                if profile:
                    profile.disable()
                kernel = os.times().system - kernel_began
                found.append(((time.process_time() - began) / events * 1e6, kernel / events * 1e6))
        await transport.close()
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    set_up("info", "json", open(os.devnull, "w"))  # noqa: SIM115
    ours, theirs = multiprocessing.Pipe()
    receiver = multiprocessing.get_context("spawn").Process(target=receive, args=(theirs,), daemon=True)
    receiver.start()
    profile = cProfile.Profile() if options.profile else None
    rounds = uvloop.run(measure(ours.recv(), options.events, options.rounds, profile))
    receiver.terminate()
    receiver.join()
    whole, kernel = (statistics.median(part) for part in zip(*rounds, strict=True))
    least = min(rounds)[0]
    print(f"{whole:.1f} µs of CPU per event (least {least:.1f}), {kernel:.1f} of it in the kernel")
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(60)


if __name__ == "__main__":
    main()
