"""Every start, of a supervisor and of a process, empties the folders that no longer match the log."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml

from bridge.app.app import App
from bridge.app.exit_codes import ExitCode
from bridge.app.worker_link import WorkerLink, WorkerPlace
from bridge.settings import Settings, load
from bridge.storage.state_dir import StateDir
from bridge.storage.worker_folders import discard_unused, worker_folder
from bridge.workers.launch import Plan
from bridge.workers.supervisor import Supervisor
from tests.support.bridge_process import plain_config
from tests.support.fake_process import FakeProcess
from tests.support.ports import free_port


def keep_journal(folder: Path) -> Path:
    """Return the journal that an earlier process left in a folder."""
    StateDir(folder).release()
    journal = folder / "journal.7"
    journal.write_text("x")
    return journal


def settings_in(folder: Path) -> Settings:
    endpoint = {"url": "http://127.0.0.1:9/shop"}
    own = {"state_dir": str(folder / "state"), "admin": {"port": free_port()}}
    file = folder / "bridge.yaml"
    file.write_text(yaml.safe_dump(plain_config("127.0.0.1:9", "orders", {"shop": endpoint}, **own)))
    return load(file, {})


async def test_a_supervisor_empties_the_folders_of_workers_that_it_does_not_have(tmp_path: Path) -> None:
    settings, started = settings_in(tmp_path), list[int]()
    used, unused = (keep_journal(worker_folder(settings.state_dir, number)) for number in (2, 3))
    single = keep_journal(settings.state_dir)

    async def start(_: Plan, number: int) -> FakeProcess:
        started.append(number)
        return FakeProcess(number)

    plan = Plan(["none"], settings.state_dir, None, 64, is_terminal=False)
    run = asyncio.create_task(Supervisor(settings, plan, 2, start).run())
    async with asyncio.timeout(60):
        while len(started) < 2:
            await asyncio.sleep(0.01)
        assert (used.exists(), unused.exists(), single.exists()) == (True, False, False)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await run is ExitCode.SUCCESS


async def test_a_single_process_empties_the_folders_of_all_workers(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    journal = keep_journal(worker_folder(settings.state_dir, 1))
    async with AsyncExitStack() as stack:
        App(settings)._open_files(stack)
    assert not journal.exists()


@pytest.mark.parametrize("is_marked", [True, False])
async def test_a_worker_empties_its_folder_if_a_run_without_it_came_since(
    tmp_path: Path, is_marked: bool
) -> None:
    settings = settings_in(tmp_path)
    journal = keep_journal(folder := worker_folder(settings.state_dir, 2))
    if is_marked:
        earlier = StateDir(folder)  # it still finishes its requests
        discard_unused(settings.state_dir, 1)
        earlier.release()
    link = WorkerLink(WorkerPlace(2, -1))
    async with AsyncExitStack() as stack:
        App(settings.model_copy(update={"state_dir": folder}), None, link)._open_files(stack)
    assert journal.exists() is not is_marked
