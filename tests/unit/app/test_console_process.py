"""`run --console`: a child that is restarted, and whose end never touches the bridge."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.app.console_process import ConsoleProcess
from bridge.telemetry import events
from tests.support.simulated import until


def program(folder: Path, text: str) -> list[str]:
    """Return a command that notes each start in a file, and then runs these lines."""
    note = f"import os, sys, time; open({str(folder / 'starts')!r}, 'a').write(f'{{os.getpid()}}\\n')"
    return [sys.executable, "-c", f"{note}\n{text}"]


def starts(folder: Path) -> list[int]:
    notes = folder / "starts"
    return [int(line) for line in notes.read_text().split()] if notes.exists() else []


def runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


async def test_a_console_that_ends_is_started_again_and_the_block_goes_on(tmp_path):
    with capture_logs() as lines:
        async with ConsoleProcess(program(tmp_path, "sys.exit(1)"), first_delay_s=0.01):
            await until(lambda: len(starts(tmp_path)) >= 3, 60)
    ended = [line for line in lines if line["event"] == events.CONSOLE_ENDED]
    assert [line["restart_in_s"] for line in ended[:2]] == [0.01, 0.02]
    assert {line["exit_code"] for line in ended} == {1}


async def test_a_console_with_a_mistake_in_its_configuration_is_not_started_again(tmp_path):
    with capture_logs() as lines:
        async with ConsoleProcess(program(tmp_path, "sys.exit(2)"), first_delay_s=0.0):
            await until(lambda: any(line["event"] == events.CONSOLE_ENDED for line in lines), 60)
            await asyncio.sleep(0.2)
    assert len(starts(tmp_path)) == 1
    assert [line["log_level"] for line in lines if line["event"] == events.CONSOLE_ENDED] == ["error"]


async def test_a_program_that_does_not_exist_is_reported_and_tried_again(tmp_path):
    with capture_logs() as lines:
        async with ConsoleProcess([str(tmp_path / "missing")], first_delay_s=0.01):
            await until(lambda: sum(line["event"] == events.CONSOLE_ENDED for line in lines) >= 2, 60)
    assert "missing" in lines[0]["error"]


async def test_the_console_ends_with_the_block_also_when_it_ignores_sigterm(tmp_path, monkeypatch):
    monkeypatch.setattr("bridge.app.console_process._STOP_S", 0.2)
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    for text in ("time.sleep(600)", stubborn):
        async with ConsoleProcess(program(tmp_path, text)):
            await until(lambda: bool(starts(tmp_path)), 60)
            pid = starts(tmp_path)[-1]
            assert runs(pid)
        assert not runs(pid)
        (tmp_path / "starts").unlink()


async def test_the_end_of_the_block_reports_its_own_error(tmp_path):
    class Broken(Exception):
        pass

    with pytest.raises(Broken):
        async with ConsoleProcess(program(tmp_path, "time.sleep(600)")):
            raise Broken


async def test_a_killed_bridge_leaves_no_console(tmp_path):
    """The child is a real one, until it becomes `python -m bridge`, which only sleeps here."""
    package = tmp_path / "bridge"
    package.mkdir()
    (package / "__init__.py").touch()
    note = str(tmp_path / "starts")
    (package / "__main__.py").write_text(
        f"import os, time\nopen({note!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(600)\n"
    )
    child = Path(sys.modules["bridge.app"].__file__ or "").parent / "console_child.py"
    parent = subprocess.Popen(
        [sys.executable, "-c",
         "import os, subprocess, sys, time\n"
         f"subprocess.Popen([sys.executable, {str(child)!r}, str(os.getpid()), 'console'])\n"
         "time.sleep(600)"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    try:
        await until(lambda: bool(starts(tmp_path)), 60)
        pid = starts(tmp_path)[-1]
        assert runs(pid)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    await until(lambda: not runs(pid), 60)
