"""A supervisor and its processes while no broker answers: stops, mistakes, folders in use, and its log."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.storage.state_dir import StateDir
from tests.support.bridge_process import BridgeProcess, plain_config
from tests.support.ports import free_port
from tests.support.watch import ask, logged, wait_until

Bridges = Callable[..., BridgeProcess]
TWO = ("--workers", "2")


def config(**top: Any) -> dict[str, Any]:
    endpoint = {"url": f"http://127.0.0.1:{free_port()}/shop"}
    return plain_config(f"127.0.0.1:{free_port()}", "orders", {"shop": endpoint}, **top)


def test_signals_reach_every_worker_and_each_line_has_its_number(bridges: Bridges) -> None:
    bridge = bridges(config(), options=TWO).start(wait=False)
    waiting = "worker 1 is not ready: starting: no broker at "
    wait_until(
        lambda: (
            waiting in (words := ask(bridge, "/readyz")[1])
            and waiting.replace("worker 1", "worker 2") in words
        ),
        "both wait for the broker",
    )
    assert ask(bridge, "/readyz")[0] == 503
    assert ask(bridge, "/healthz") == (200, "alive\n")
    assert bridge.metric("hookferry_worker_up") == 2
    assert bridge.metric("hookferry_ready") == 0
    assert len({key for key in bridge.metrics() if key[0] == "hookferry_memory_resident_bytes"}) == 3
    os.kill(bridge.pid, signal.SIGHUP)
    os.kill(bridge.pid, signal.SIGUSR1)
    wait_until(
        lambda: {line.get("worker") for line in logged(bridge, "task.seen")} == {None, 1, 2},
        "the supervisor and both workers write their tasks",
    )
    assert bridge.terminate() == 0
    own = {"workers.started", "worker.started", "workers.stopping", "workers.ended", "task.seen"}
    assert all("worker" in line for line in logged(bridge) if line["event"] not in own)
    assert not logged(bridge, "worker.ended")
    states = Path(bridge.config["state_dir"])
    assert {path.name for path in states.glob("worker-*")} == {"worker-1", "worker-2"}
    budgets = {line["worker"]: line["memory_budget"] for line in logged(bridge, "memory.planned")}
    assert budgets[1] == budgets[2] == logged(bridge, "workers.started")[0]["memory_budget"]


def test_a_mistake_that_only_a_worker_can_find_ends_all(bridges: Bridges) -> None:
    bridge = bridges(config(), options=("--workers", "1"))
    folder = Path(bridge.config["state_dir"]) / "worker-1"
    folder.parent.mkdir()
    folder.write_text("a file where a folder should be")
    bridge.start(wait=False)
    assert bridge.process is not None
    assert bridge.process.wait(60) == 2
    assert "worker-1: cannot keep files" in bridge.log.read_text()


def test_a_worker_waits_for_the_folder_of_one_that_has_not_ended(bridges: Bridges) -> None:
    """As after SIGKILL of a supervisor, when its workers still finish their requests."""
    bridge = bridges(config(), options=("--workers", "1"))
    earlier = StateDir(Path(bridge.config["state_dir"]) / "worker-1")
    bridge.start(wait=False)
    (line, *_) = wait_until(lambda: logged(bridge, "worker.ended"), "it is logged")
    assert "earlier supervisor" in line["cause"]
    assert not logged(bridge, "worker.started")
    earlier.release()
    wait_until(lambda: logged(bridge, "worker.started"), "the worker starts")
    assert bridge.terminate() == 0
