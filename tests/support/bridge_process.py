"""Run the bridge in a separate process, as an operator does: start, observe, stop, and kill it."""

from __future__ import annotations

import copy
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.forked import BridgeCommand
from tests.support.ports import free_port

ROOT = Path(__file__).parent.parent.parent
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
Metrics = dict[tuple[str, frozenset[tuple[str, str]]], float]


class BridgeFailed(Exception):
    """The process ended, or did not become ready in time; the text includes the last lines of its log."""


def plain_config(
    bootstrap: str, topic: str, endpoints: Mapping[str, Mapping[str, Any]], **top: Any
) -> dict[str, Any]:
    """Return a configuration for ``produce.outbox_events`` on one topic, with receivers on loopback.

    By default each endpoint starts at the earliest record and may use http. ``top`` replaces or adds
    top-level keys.
    """
    defaults = {"start": "earliest", "allow_http": True}
    source = {"topics": [topic], "format": "json", "id": "id", "type": "type", "entity": "entity",
              "time": "createdAt", "data": "payload"}  # fmt: skip
    return {
        "group": "hookferry",
        "kafka": {"bootstrap_servers": [bootstrap], "replication_factor": 1},
        "sources": {"orders": source},
        "endpoints": {name: defaults | dict(endpoint) for name, endpoint in endpoints.items()},
        "egress": {"allow": ["127.0.0.0/8"], "proxies": ["127.0.0.0/8"]},
        **top,
    }


class BridgeProcess:
    """One ``python -m bridge run``, with its configuration, state and log in a folder.

    A configuration without ``admin.port`` or ``state_dir`` gets them here. ``start`` after an end
    restarts it on the same state, as a restarted pod would.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | Path,
        folder: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        launcher: Sequence[str] = (),
        options: Sequence[str] = (),
        root: Path = ROOT,
        python: str = sys.executable,
        forked: bool = False,
    ) -> None:
        """``launcher``: the words in front of the command, as of ``nice``. ``options``: those of ``run``.

        ``python`` runs the bridge from the checkout ``root``. ``forked``: start it as
        ``tests.support.forked`` does, unless it has a launcher.
        """
        self._root = root
        self._python = python
        self._forked = forked and not launcher
        self._options = options
        self._launcher = launcher
        self.folder = folder or Path(tempfile.mkdtemp(prefix="hookferry-bridge-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        document = yaml.safe_load(config.read_text()) if isinstance(config, Path) else config
        self.config: dict[str, Any] = copy.deepcopy(dict(document))
        admin = self.config.setdefault("admin", {})
        admin.setdefault("host", "127.0.0.1")
        self.admin_port: int = admin.setdefault("port", free_port())
        self.config.setdefault("state_dir", str(self.folder / "state"))
        self.file = self.folder / "bridge.yaml"
        self.log = self.folder / "bridge.log"
        self.process: subprocess.Popen[bytes] | None = None
        own = {name: value for name, value in os.environ.items() if not name.startswith("HOOKFERRY_")}
        self._environment = own | dict(environment or {})

    @property
    def pid(self) -> int:
        """The process id; an assertion fails when it was never started."""
        assert self.process is not None, "the bridge was not started"
        return self.process.pid

    def start(self, *, wait: bool = True) -> BridgeProcess:
        """Start it; return once it is ready, or immediately without ``wait``."""
        self.file.write_text(yaml.safe_dump(self.config))
        with self.log.open("ab") as log:
            words = ["run", *self._options, "--config", str(self.file)]
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            if self._forked:
                self.process = BridgeCommand(words, env=self._environment, **streams)
            else:
                command = [*self._launcher, self._python, "-m", "bridge", *words]
                self.process = subprocess.Popen(command, cwd=self._root, env=self._environment, **streams)
        if wait:
            self.wait_ready()
        return self

    def _get(self, target: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Return True if ``/readyz`` answers 200 now."""
        try:
            return self._get("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_ready(self, timeout_s: float = 180) -> None:
        """Return when ``/readyz`` answers 200; raises ``BridgeFailed``."""
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            if self.process is not None and self.process.poll() is not None:
                raise BridgeFailed(f"the bridge ended with {self.process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise BridgeFailed(f"the bridge is not ready after {timeout_s} s:\n{self.log_tail()}")
            time.sleep(0.02)

    def log_tail(self, lines: int = 30) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def metrics(self) -> Metrics:
        """Return every sample of ``/metrics``, by name and labels."""
        families = text_string_to_metric_families(self._get("/metrics")[1])
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a metric with these labels; 0 if there are none."""
        wanted = set(labels.items())
        return sum(v for (sample, has), v in self.metrics().items() if sample == name and wanted <= has)

    def terminate(self, timeout_s: float = 180) -> int:
        """Send SIGTERM and return the exit code. Raises ``BridgeFailed`` if the process does not end."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.write_tasks()
            self.kill()
            raise BridgeFailed(f"no end {timeout_s} s after SIGTERM:\n{self.log_tail()}") from None

    def write_tasks(self, wait_s: float = 5) -> None:
        """Send SIGUSR1, and wait until its log shows what each of its tasks waits for."""
        before = self.log.stat().st_size
        os.kill(self.pid, signal.SIGUSR1)
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline and self.process is not None and self.process.poll() is None:
            size = self.log.stat().st_size
            if size > before and b'"task.seen"' in self.log.read_bytes()[before:]:
                time.sleep(0.2)
                return
            time.sleep(0.05)

    def kill(self) -> None:
        """Send SIGKILL: the process flushes and commits nothing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def pause(self) -> None:
        """Send SIGSTOP: the process pauses; its connections and its membership stay."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT after ``pause``."""
        os.kill(self.pid, signal.SIGCONT)

    def cpu_s(self) -> float:
        """Return the CPU time used so far, in seconds (in steps of the kernel's tick, 10 ms)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def rss_bytes(self) -> int:
        """Return the resident memory now."""
        return self._memory("VmRSS")

    def peak_rss_bytes(self) -> int:
        """Return the peak of the resident memory."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise BridgeFailed(f"the bridge has ended:\n{self.log_tail()}")

    def __enter__(self) -> BridgeProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
