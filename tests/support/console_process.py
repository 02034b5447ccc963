"""A console as a separate process, and a client of its API."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import yaml

from tests.support.bridge_process import BridgeFailed
from tests.support.forked import BridgeCommand
from tests.support.ports import free_port


class ConsoleProcess:
    """One ``python -m bridge console``, with its configuration, store and log in a folder.

    Without ``console.port`` and ``console.folder`` they are set here.
    """

    def __init__(self, config: Mapping[str, Any], folder: Path, token: str | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        own = {"port": free_port(), "folder": str(folder / "store"), **config.get("console", {})}
        self.port: int = own["port"]
        self.store = Path(own["folder"])
        self._token = token
        self._log = folder / "console.log"
        self._file = folder / "console.yaml"
        self._file.write_text(yaml.safe_dump({**config, "console": own}))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> ConsoleProcess:
        """Start it; return once it has read all topics."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("HOOKFERRY_")}
        with self._log.open("ab") as log:
            command = ["console", "--config", str(self._file)]
            self.process = BridgeCommand(command, env=own, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout_s: float = 180) -> None:
        """Return once it has read all topics; raises ``BridgeFailed``."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                if self.request("GET", "/readyz")[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BridgeFailed(f"the console is not ready:\n{self.log_tail()}")
            time.sleep(0.05)

    def request(
        self, method: str, target: str, body: object = None, headers: Mapping[str, str] = {}
    ) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            login = {"authorization": f"Bearer {self._token}"} if self._token else {}
            content = None if body is None else orjson.dumps(body)
            kind = {} if body is None else {"content-type": "application/json"}
            connection.request(method, target, content, {**login, **kind, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path: str, **query: object) -> Any:
        """Return the document at a path of the API."""
        given = urlencode({name: value for name, value in query.items() if value is not None})
        status, body = self.request("GET", f"/api/v1/{path}?{given}")
        assert status == 200, body
        return orjson.loads(body)

    def post(self, path: str, body: object, **headers: str) -> Any:
        """Return the answer to a change."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        status, answer = self.request("POST", f"/api/v1/{path}", body, names)
        assert status == 200, answer
        return orjson.loads(answer)

    def all(self, path: str, **query: object) -> list[dict[str, Any]]:
        """Return the rows of all pages."""
        rows, cursor = list[dict[str, Any]](), None
        while True:
            page = self.get(path, **query, cursor=cursor, limit=200)
            rows += page["items"]
            cursor = page["cursor"]
            if cursor is None:
                return rows

    def kill(self) -> None:
        """Send SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def terminate(self) -> int:
        """Send SIGTERM; return the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def delete_store(self) -> None:
        """Delete the folder of the store."""
        shutil.rmtree(self.store)

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])
