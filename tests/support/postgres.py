"""A real PostgreSQL of Debian's package, in a folder of its own, on loopback.

Invariant: a folder that the caller names is kept, with its data; any other is deleted.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.ports import free_port

_PROGRAMS = Path("/usr/lib/postgresql")
_USER = "nobody"


class PostgresMissing(Exception):
    """Debian's package is not installed."""


class Postgres:
    """One server process. PostgreSQL refuses to run as root, so it then runs as ``nobody``."""

    def __init__(self, kept: Path | None = None) -> None:
        """``kept`` is a folder that outlives the server: another one continues with its data."""
        versions = sorted(_PROGRAMS.glob("*/bin/postgres"), key=lambda file: int(file.parts[-3]))
        if not versions:
            raise PostgresMissing("install the Debian package postgresql to test this store")
        self._bin = versions[-1].parent
        self._kept = kept is not None
        self._folder = kept or Path(tempfile.mkdtemp(prefix="hookferry-postgres-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._user = _USER if os.geteuid() == 0 else None
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Postgres:
        """Create the database cluster if it is new, and return once it accepts connections."""
        if self._user:
            shutil.chown(self._folder, self._user)
        data = self._folder / "data"
        if not data.exists():
            self._run("initdb", "-D", str(data), "-A", "trust", "-U", "hookferry", "-N", "--locale=C.UTF-8")
        options = f"-p {self.port} -k {self._folder} -h 127.0.0.1 -c fsync=off -c max_connections=30"
        self._process = subprocess.Popen(
            [str(self._bin / "postgres"), "-D", str(data), *options.split()],
            user=self._user, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while self._ready() != 0:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError("PostgreSQL did not start")
            time.sleep(0.05)
        return self

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://hookferry@127.0.0.1:{self.port}/{database}"

    def fresh(self, name: str) -> str:
        """Create a database and return its address."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "hookferry", name)
        return self.url(name)

    def stop(self) -> None:
        """End the process, and delete the folder: at once, or in order if the folder is kept."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT if self._kept else signal.SIGKILL)
            self._process.wait()
        if not self._kept:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _ready(self) -> int:
        command = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments], user=self._user, cwd=self._folder, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
