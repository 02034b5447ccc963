"""What is measured: Hookferry, Hookferry of another revision, the Go peer, and a bare loop.

Each is a process that delivers a cell's topic; none of them shares a group or a folder with another run.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from tests.bench.compare.cells import Cell
from tests.bench.compare.processes import cpu_s, peak_mb
from tests.bench.compare.records import SCHEMAS
from tests.bench.interpreter import Interpreter
from tests.bench.scenarios import SECRET
from tests.support.bridge_process import ROOT, BridgeProcess, plain_config

STOP_S = 30
CARRIED_HEADERS = ("user-agent", "content-type", "webhook-id", "webhook-timestamp", "webhook-signature")


class Job(NamedTuple):
    """What a contender delivers, and to which URLs."""

    cell: Cell
    bootstrap: str
    topic: str
    name: str  # of this run
    urls: list[str]
    authority: Path | None
    folder: Path


class Running(Protocol):
    """A started contender."""

    def cpu_s(self) -> float:
        """Return its CPU time so far."""

    def peak_mb(self) -> float:
        """Return the peak of its resident memory."""

    def problem(self) -> str | None:
        """Return the end of its log if it has ended."""

    def stop(self) -> None:
        """Send SIGTERM and wait."""


class RunningProcess:
    """A process with a log."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )

    def cpu_s(self) -> float:
        return cpu_s(self._process.pid)

    def peak_mb(self) -> float:
        return peak_mb(self._process.pid)

    def problem(self) -> str | None:
        if self._process.poll() is None:
            return None
        return f"it ended with {self._process.returncode}: {self._log.read_text(errors='replace')[-2000:]}"

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class RunningBridge:
    """A bridge, with its workers if it has any."""

    def __init__(self, bridge: BridgeProcess) -> None:
        self._bridge = bridge
        bridge.start()

    def cpu_s(self) -> float:
        return cpu_s(self._bridge.pid)

    def peak_mb(self) -> float:
        return peak_mb(self._bridge.pid)

    def problem(self) -> str | None:
        process = self._bridge.process
        if process is None or process.poll() is None:
            return None
        return f"it ended with {process.returncode}: {self._bridge.log_tail()}"

    def stop(self) -> None:
        self._bridge.terminate()


class Hookferry:
    """The bridge with its defaults and a signature; ``root`` is the checkout that it runs from."""

    def __init__(self, interpreter: Interpreter, root: Path = ROOT) -> None:
        self._interpreter = interpreter
        self._root = root

    def start(self, job: Job) -> RunningBridge:
        """Start it and return when it is ready."""
        options = ["--workers", str(job.cell.workers)] if job.cell.workers > 1 else []
        bridge = BridgeProcess(
            self.config(job), job.folder / job.name, options=options, root=self._root,
            python=self._interpreter.program, environment=self._interpreter.environment(self._root),
        )  # fmt: skip
        return RunningBridge(bridge)

    def config(self, job: Job) -> dict[str, Any]:
        """Return the settings of a job."""
        endpoint: dict[str, Any] = {"secrets": [SECRET], "concurrency": job.cell.concurrency}
        if job.cell.tls:
            endpoint["tls"] = {"ca_file": str(job.authority)}
        endpoints = {f"bench-{number}": endpoint | {"url": url} for number, url in enumerate(job.urls)}
        config = plain_config(
            job.bootstrap, job.topic, endpoints, group=job.name,
            log={"level": "info", "format": "json", "attempts": "all"},
        )  # fmt: skip
        if job.cell.fineract:
            source = {"topics": [job.topic], "format": "fineract", "schemas": str(SCHEMAS)}
            config["sources"] = {"fineract": source}
        return config


class GoPeer:
    """The consumer in tests/bench/go."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def start(self, job: Job) -> RunningProcess:
        """Start it."""
        job.folder.mkdir(parents=True, exist_ok=True)
        command = [
            str(self._program), "peer", "-brokers", job.bootstrap, "-topic", job.topic, "-group", job.name,
            "-urls", ",".join(job.urls), "-workers", str(job.cell.concurrency), "-secret", SECRET,
        ]  # fmt: skip
        if job.cell.tls:
            command += ["-ca", str(job.authority)]
        if job.cell.fineract:
            command += ["-fineract", str(SCHEMAS)]
        return RunningProcess(command, job.folder / f"{job.name}.log")


def run_bare(
    interpreter: Interpreter, sample: dict[str, Any], url: str, requests: int, cell: Cell, job: Job
) -> dict[str, float]:
    """Send requests like the sample with only the transport, as many at a time as order would allow."""
    document = {
        "url": url,
        "headers": {name: value for name, value in sample["headers"].items() if name in CARRIED_HEADERS},
        "body": sample["body"],
        "requests": requests,
        "tasks": min(cell.concurrency, cell.entities),
        "authority": str(job.authority) if cell.tls else None,
        "rate_per_s": cell.rate_per_s,
    }
    done = subprocess.run(
        [interpreter.program, "-m", "tests.bench.bare"], cwd=ROOT, input=orjson.dumps(document),
        stdout=subprocess.PIPE, check=True, env=os.environ | interpreter.environment(ROOT),
    )  # fmt: skip
    figures: dict[str, float] = orjson.loads(done.stdout)
    return figures
