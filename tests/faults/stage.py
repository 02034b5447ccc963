"""Everything that runs during the faults: receiver, pods, disks. ``close`` ends all of it."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from tests.faults.facts import Requests, read_facts
from tests.faults.ledger import RUNS_PER_POD, Ledger, Run
from tests.support.bridge_process import ROOT, BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.ports import free_port

SLOW_MS = 60
FLAKY = [
    {"kind": "status", "status": 500, "share": 0.02},
    {"kind": "status", "status": 429, "retry_after_s": 1, "share": 0.002},
    {"kind": "half", "share": 0.005},
    {"kind": "reset", "share": 0.005},
]
USUAL: dict[str, dict[str, Any]] = {
    "/healthy": {},
    "/flaky": {"modes": FLAKY},
    "/slow": {"delay_ms": SLOW_MS},
    "/returning": {},
}
TERMINATE_TIMEOUT_S = 30


class Witness:
    """The receiver process. After a restart it keeps its port, its behavior and its records."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.port = free_port()
        self.paths = list(USUAL)
        self._folder = folder
        self._ledger = ledger
        self._lives: list[tuple[Path, int]] = []
        self._behaviors: dict[str, dict[str, Any]] = dict(USUAL)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, path: str) -> str:
        """Return the URL of an endpoint."""
        return f"http://127.0.0.1:{self.port}{path}"

    def start(self) -> None:
        """Start it; return when it listens."""
        with self._lock:
            file = self._folder / f"facts-{len(self._lives)}.bin"
            command = [
                sys.executable, "-m", "tests.faults.receiver", f"--port={self.port}", f"--facts={file}",
                f"--behaviors={orjson.dumps(self._behaviors).decode()}", "--paths", *self.paths,
            ]  # fmt: skip
            self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self._process.stdout
            if not self._process.stdout.readline():
                raise RuntimeError(f"the receiver did not start: exit code {self._process.wait()}")
            self._lives.append((file, 0))

    def kill(self) -> None:
        """Send SIGKILL."""
        with self._lock:
            if self._process is None:
                return
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()
            self._process = None
            self._lives[-1] = (self._lives[-1][0], time.time_ns())

    def behave(self, path: str, behavior: Mapping[str, Any] | None = None) -> None:
        """Set the behavior of a path; without one, the usual behavior."""
        with self._lock:
            self._behaviors[path] = dict(USUAL[path] if behavior is None else behavior)
            if self._process is None:
                return  # it gets the behavior at its start
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("POST", "/_control", orjson.dumps(self._behaviors))
                connection.getresponse().read()
            finally:
                connection.close()

    def requests(self) -> Requests:
        """Return all requests. Call this after the process has ended."""
        return read_facts(self._lives)


class Pod:
    """One bridge with its disk, over all its processes; ``x-run`` names the process of a request."""

    def __init__(self, number: int, bridge: BridgeProcess, ledger: Ledger) -> None:
        self.number = number
        self.bridge = bridge
        self.lock = threading.RLock()
        self.wanted = False
        self._ledger = ledger
        self._lives = 0
        self._log_began_at = 0
        self.run: Run | None = None

    @property
    def state(self) -> Path:
        """Return its state folder."""
        return Path(self.bridge.config["state_dir"])

    def start(self) -> None:
        """Start the next process; do not wait until it is ready."""
        with self.lock:
            self._lives += 1
            number = self.number * RUNS_PER_POD + self._lives
            for endpoint in self.bridge.config["endpoints"].values():
                endpoint["headers"] = {"x-run": str(number)}
            self.run = self._ledger.runs[number] = Run(number, time.time_ns())
            self._log_began_at = self.bridge.log.stat().st_size if self.bridge.log.exists() else 0
            self.bridge.start(wait=False)
            self.wanted = True
            self._ledger.note(f"pod {self.run.name} started")
            watch = threading.Thread(target=self._watch, args=(self.run, self.bridge.process), daemon=True)
            watch.start()

    def _watch(self, run: Run, process: subprocess.Popen[bytes]) -> None:
        """Record immediately when the process exits although the harness did not end it."""
        code = process.wait()
        if run is self.run and self.wanted:
            run.ended_ns = run.killed_ns = self._ledger.note(f"pod {run.name} ended by itself with {code}")
            self._ledger.problems.append(
                f"pod {run.name} ended by itself with {code}:\n{self.bridge.log_tail(12)}"
            )

    def kill(self, why: str = "killed") -> None:
        """Send SIGKILL."""
        with self.lock:
            assert self.run is not None
            self.wanted = False
            self.run.killed_ns = self._ledger.note(f"pod {self.run.name} {why}")
            self.bridge.kill()
            self.run.ended_ns = time.time_ns()

    def terminate(self) -> None:
        """Send SIGTERM and wait. A missing exit is a problem, and the pod is killed."""
        with self.lock:
            assert self.run is not None
            assert self.bridge.process is not None
            self.wanted = False
            self._ledger.note(f"pod {self.run.name} SIGTERM")
            self.bridge.process.terminate()
            try:
                code = self.bridge.process.wait(TERMINATE_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._ledger.problems.append(
                    f"pod {self.run.name}: no end {TERMINATE_TIMEOUT_S} s after SIGTERM"
                )
                self.bridge.write_tasks()
                self.kill("killed, since SIGTERM did not end it")
                return
            self.run.ended_ns = self._ledger.note(f"pod {self.run.name} ended with {code}")
            if code == -signal.SIGTERM and self.bridge.log.stat().st_size == self._log_began_at:
                return  # SIGTERM came before its handler was installed: Python was still starting
            if code:
                self._ledger.problems.append(f"pod {self.run.name}: exit code {code} after SIGTERM")

    def stand_still(self, seconds: float, cut: threading.Event) -> None:
        """Send SIGSTOP, and SIGCONT after a while."""
        with self.lock:
            assert self.run is not None
            began_ns = self._ledger.note(f"pod {self.run.name} SIGSTOP for {seconds:.1f} s")
            self.bridge.pause()
            try:
                cut.wait(seconds)
            finally:
                ended_ns = self._ledger.note(f"pod {self.run.name} SIGCONT")
                self.run.stops.append((began_ns, ended_ns))
                with suppress(ProcessLookupError):
                    self.bridge.resume()

    def look_after(self) -> None:
        """Restart it if it exited by itself, as an orchestrator would."""
        if not self.lock.acquire(blocking=False):
            return
        try:
            process = self.bridge.process
            if self.wanted and self.run and self.run.ended_ns and process and process.poll() is not None:
                self.start()
        finally:
            self.lock.release()


class SmallDisk:
    """A small file system that can be filled; requires the permission to mount."""

    def __init__(self, folder: Path, megabytes: int = 256) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise OSError(done.stderr.strip() or "mount failed")
        self.folder = folder

    def fill(self) -> None:
        """Write until the file system is full."""
        fd = os.open(self.folder / "filler", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            for size in (1 << 20, 4096):
                with suppress(OSError):
                    while True:
                        os.write(fd, b"\0" * size)
        finally:
            os.close(fd)

    def free(self) -> None:
        """Free the space again."""
        (self.folder / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount."""
        subprocess.run(["umount", "-l", str(self.folder)], capture_output=True, check=False)


class Stage:
    """All parts of a run."""

    def __init__(self, folder: Path, kafka: RealKafka, ledger: Ledger) -> None:
        self.folder = folder
        self.kafka = kafka
        self.broker_lock = threading.RLock()
        self.ledger = ledger
        self.witness = Witness(folder, ledger)
        self.pods: list[Pod] = []
        self.disk: SmallDisk | None = None
        self.under_way: list[threading.Thread] = []
        """Faults in progress."""
        self.off: set[str] = set()
        self.switched_off = 0
        self.partitions_added = 0
        self.aborted = 0
        """Records of aborted transactions."""
        self.cut = threading.Event()
        """Set when the run ends: all waits return immediately."""

    def close(self) -> None:
        """End every process and mount of the run."""
        self.cut.set()
        for fault in self.under_way:
            fault.join(TERMINATE_TIMEOUT_S + 5)
        for pod in self.pods:
            pod.wanted = False
            process = pod.bridge.process
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
        self.witness.kill()
        if self.disk is not None:
            self.disk.close()
