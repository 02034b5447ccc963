"""How long commits of the dedupe index hold the event loop: ``python -m tests.bench.dedupe_commits``.

The index is filled with ``--keys``. Then claims come in small batches and are committed after each 1,400 of
them, as at 2,000 events per second. Prints the milliseconds of the commits and of the slowest claims.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

from bridge.core.dedupe import Claim
from bridge.model import Partition
from bridge.storage.dedupe_index import KeyIndex

PARTITIONS = [Partition("events", number) for number in range(4)]
PER_COMMIT, PER_BATCH = 1_400, 12
HALF_KEY = 63  # bits


class Claims:
    """Claims new keys, whose offsets follow each other; ``took_ms``: of each call."""

    def __init__(self, index: KeyIndex) -> None:
        self._index = index
        self._chance = random.Random(1)
        self._offset = 0
        self.took_ms: list[float] = []

    def add(self, count: int, batch: int) -> None:
        """Claim so many keys in batches, in all partitions in turns."""
        half = self._chance.getrandbits
        for number in range(count // batch):
            first = self._offset
            self._offset += batch
            claims = [Claim(half(HALF_KEY), half(HALF_KEY), at, 1) for at in range(first, self._offset)]
            began = time.perf_counter()
            self._index.claim(PARTITIONS[number % 4], claims, self._offset, int(time.time() * 1000))
            self.took_ms.append((time.perf_counter() - began) * 1000)


async def measure(keys: int, commits: int, folder: Path) -> tuple[list[float], list[float]]:
    """Return the milliseconds of each commit in the loop, and of each batch of claims."""
    index = KeyIndex(folder / "dedupe.sqlite", window_s=86_400, max_keys=10**9)
    claims, held_ms = Claims(index), []
    for _ in range(keys // 20_000):
        claims.add(20_000, 1_000)
        await index.write()
    claims.took_ms.clear()
    for _ in range(commits):
        claims.add(PER_COMMIT, PER_BATCH)
        began = time.perf_counter()
        index.flush()
        held_ms.append((time.perf_counter() - began) * 1000)
        await index.write()
    index.close()
    return held_ms, claims.took_ms


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dedupe_commits")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--commits", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        held_ms, claims_ms = asyncio.run(measure(options.keys, options.commits, Path(folder)))
    median = statistics.median(held_ms)
    print(f"a commit among {options.keys:,} keys: median {median:.1f} ms, at most {max(held_ms):.1f} ms")
    print(f"the slowest batch of {PER_BATCH} claims: {max(claims_ms):.1f} ms")


if __name__ == "__main__":
    main()
