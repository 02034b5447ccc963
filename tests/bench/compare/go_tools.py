"""The Go program of the benchmark: built once, it is the peer and the receiver.

Without Go, the peer is missing and the receiver of the tests takes the place of the other one.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

from tests.bench.compare.judging import EventKey
from tests.support.receiver import Receiver
from tests.support.tls import TestAuthority

SOURCES = Path(__file__).parents[1] / "go"
BUILD_TIMEOUT_S = 250
OFFLINE = {"GOPROXY": "off", "GOFLAGS": "-mod=readonly"}


class GoMissing(Exception):
    """There is no Go, or the program cannot be built; the text is the reason."""


def command() -> str:
    """Return the command go. Raises ``GoMissing``."""
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        raise GoMissing("the command go is not on the PATH")
    return go


def build(folder: Path, *, offline: bool = False) -> Path:
    """Build the program and return its file; ``offline``: download no modules. Raises ``GoMissing``."""
    program = folder / "hookferry-bench"
    words = [command(), "build", "-buildvcs=false", "-o", str(program), "."]
    try:
        done = subprocess.run(
            words, cwd=SOURCES, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False,
            env=os.environ | (OFFLINE if offline else {}),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise GoMissing(f"go build did not end within {BUILD_TIMEOUT_S} s") from None
    if done.returncode:
        raise GoMissing(f"go build failed: {done.stderr.strip()[-500:]}")
    return program


class GoReceiver(Receiver):
    """The receiver in Go: cheaper than the one in Python, with https, and with the arrival of each event."""

    def __init__(self, program: Path, authority: TestAuthority | None = None) -> None:
        super().__init__()
        self._command = [str(program), "receiver"]
        if authority is not None:
            self._command += ["-cert", str(authority.cert_file), "-key", str(authority.key_file)]
        self.tls_port = 0

    def start(self) -> GoReceiver:
        """Start the process."""
        self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.process.stdout
        ports = self.process.stdout.readline().split()
        if not ports:
            raise RuntimeError(f"the receiver did not start: exit code {self.process.wait()}")
        self.port, self.tls_port = map(int, ports)
        return self

    def secure_url(self, path: str) -> str:
        """Return the https URL of a path."""
        return f"https://localhost:{self.tls_port}{path}"

    def arrivals_ns(self, path: str) -> dict[EventKey, int]:
        """Return when the first request of each event arrived."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", f"/_arrivals?path={quote(path)}")
            lines = connection.getresponse().read().decode().splitlines()
        finally:
            connection.close()
        rows = (line.split() for line in lines)
        return {(entity, int(seq)): int(at) for entity, seq, at in rows}
