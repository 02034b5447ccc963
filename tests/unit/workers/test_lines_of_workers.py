"""Lines of several workers on one output never mix."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.telemetry import events
from bridge.workers.lines import LineCopier

LONG = 20_000
"""More than a pipe takes at once without mixing (PIPE_BUF is 4,096 bytes)."""


def test_long_lines_of_two_workers_stay_whole(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("wb") as out:
        copiers = [LineCopier(out), LineCopier(out)]
        writers = [os.dup(copier.descriptor) for copier in copiers]
        for copier in copiers:
            copier.start()
        for number in range(40):
            for letter, writer in zip((b"a", b"b"), writers, strict=True):
                line = letter * (LONG + number) + b"\n"
                os.write(writer, line[:7])
                rest = line[7:]
                while rest:
                    rest = rest[os.write(writer, rest) :]
        for writer in writers:
            os.close(writer)
        for copier in copiers:
            copier.join(30)
    lines = file.read_bytes().splitlines()
    assert sorted(map(len, lines)) == sorted([*range(LONG, LONG + 40)] * 2)
    assert all(len(set(line)) == 1 for line in lines), "two lines were mixed"


@pytest.mark.parametrize("rest", [b"", b'{"begun":'])
def test_a_line_that_a_killed_worker_had_begun_ends_before_the_next_one(tmp_path: Path, rest: bytes) -> None:
    file = tmp_path / "log"
    with file.open("wb") as out:
        copier = LineCopier(out)
        writer = os.dup(copier.descriptor)
        copier.start()
        os.write(writer, b"whole\n" + rest)
        os.close(writer)
        copier.join(30)
        out.write(b"next\n")
    assert file.read_bytes().splitlines() == [b"whole", *([rest] if rest else []), b"next"]


def test_an_output_that_accepts_nothing_stops_no_worker_and_is_reported() -> None:
    class Full:
        full = True
        written = b""

        def write(self, data: bytes) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            self.written += data
            return len(data)

        def flush(self) -> None:
            """Nothing to do."""

    disk = Full()
    copier = LineCopier(disk)  # type: ignore[arg-type]  # only what it uses
    writer = os.dup(copier.descriptor)
    copier.start()
    os.write(writer, b"one\ntwo\n")
    while copier._out._lost < 2:
        pass
    disk.full = False
    os.write(writer, b"three\n")
    os.close(writer)
    copier.join(30)
    report, line = disk.written.splitlines()
    assert events.LOG_LOST.encode() in report
    assert b'"lines":2' in report
    assert line == b"three"
