"""What confines a bridge process: a memory limit, and a DNS server that does not answer for some names.

Both need root. ``Confines`` lists what it could not set up, and the run reports that as skipped.
"""

from __future__ import annotations

import os
import random
import shlex
import shutil
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.support.slow_dns import serve

CGROUPS = Path("/sys/fs/cgroup")
SLOW_NAME = "receiver.slow.test"
DNS_PORT = 53
EMPTY_TIMEOUT_S = 5.0


class MemoryLimit:
    """A cgroup of its own, version 1 or 2, that the kernel keeps below ``megabytes``. Raises ``OSError``."""

    def __init__(self, name: str, megabytes: int) -> None:
        version_1 = CGROUPS / "memory"
        self._folder = (version_1 if version_1.is_dir() else CGROUPS) / name
        self._folder.mkdir()
        limit = "memory.limit_in_bytes" if version_1.is_dir() else "memory.max"
        (self._folder / limit).write_text(str(megabytes * 1024 * 1024))
        self.processes = self._folder / "cgroup.procs"

    def close(self) -> None:
        """Remove it. The kernel refuses that until the last process in it has ended."""
        deadline = time.monotonic() + EMPTY_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                self._folder.rmdir()
            except OSError:
                time.sleep(0.1)
            else:
                return


class SlowDns:
    """A DNS server on a loopback address that never answers for ``SLOW_NAME``. Raises ``OSError``."""

    def __init__(self, folder: Path) -> None:
        address = f"127.{random.randint(64, 127)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind((address, DNS_PORT))
        subprocess.run(["unshare", "--mount", "true"], check=True, capture_output=True)
        self.settings = folder / "resolv.conf"
        self.settings.write_text(f"nameserver {address}\noptions timeout:10 attempts:3\n")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):  # of the socket, when it is closed
            serve(self._socket)

    def close(self) -> None:
        """Stop answering."""
        self._socket.close()


class Confines:
    """The confines of all pods of a run; ``skipped`` lists what this machine does not allow."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.skipped: list[str] = []
        self._folder = folder
        self._megabytes = megabytes
        self._limits: list[MemoryLimit] = []
        self._dns: SlowDns | None = None
        try:
            self._dns = SlowDns(folder)
        except (OSError, subprocess.CalledProcessError) as problem:
            self.skipped.append(f"slow DNS: {problem}")

    def command(self, pod: int) -> list[str]:
        """Return the command that confines the process and then executes the words after it."""
        steps = []
        try:
            limit = MemoryLimit(f"hookferry-faults-{os.getpid()}-{pod}", self._megabytes)
            self._limits.append(limit)
            steps.append(f"echo $$ > {shlex.quote(str(limit.processes))}")
        except OSError as problem:
            self.skipped.append(f"memory limit of pod {pod}: {problem}")
        if self._dns is not None:
            steps.append(f"mount --bind {shlex.quote(str(self._dns.settings))} /etc/resolv.conf")
        namespace = ["unshare", "--mount"] if self._dns is not None else []
        shell = shutil.which("sh") or "/bin/sh"
        return [*namespace, shell, "-ec", "; ".join([*steps, 'exec "$@"']), "confined"]

    def close(self) -> None:
        """Remove everything. Call this after the last process has ended."""
        for limit in self._limits:
            limit.close()
        if self._dns is not None:
            self._dns.close()
