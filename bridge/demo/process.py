"""The bridge of the demo: ``hookferry run`` in a separate process, with its files in a temporary folder.

Its configuration is an ordinary one; only the addresses are those of the demo.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout
from prometheus_client.parser import text_string_to_metric_families

import bridge
from bridge.demo.fineract_wire import SCHEMAS
from bridge.errors import HookferryError

GROUP = "demo"
PARKED_TOPIC = f"{GROUP}.parked"
CONTROL_TOPIC = f"{GROUP}.control"
AGAIN_TOPIC = f"{GROUP}.again"
ATTEMPTS_TOPIC = f"{GROUP}.attempts"
OWN_TOPICS = (PARKED_TOPIC, AGAIN_TOPIC, CONTROL_TOPIC, ATTEMPTS_TOPIC)
READERS_TOPICS = ("my.orders", "mine.parked", "mine.again", "mine.control", "mine.attempts")
"""For the reader of the quick start, who runs a bridge of the group `mine` on the demo's broker."""
_STOP_S = 5.0
_MOST_BYTES, _CHUNK_BYTES = 4 << 20, 64 * 1024
_CONFIG = """\
group: {group}
kafka: {{bootstrap_servers: ["{broker}"], create_topics: false}}
sources:
  bank: {{topics: [external-events], format: fineract, schemas: schemas}}
  orders: {{topics: [outbox.orders], format: json, id: id, type: type, entity: order, data: payload}}
  stock: {{topics: [stock], format: cloudevents}}
endpoints:
  crm:
    url: {receiver}/crm
    sources: [bank]
    events: ["Loan*", "Savings*"]
    secrets: ["${{env:CRM_SECRET}}"]
    start: earliest
    retry: {{base_s: 0.3}}
  shop:
    url: {receiver}/shop
    sources: [orders, stock]
    secrets: ["${{env:SHOP_SECRET}}"]
    start: earliest
  slack:
    url: {receiver}/services/T0/B0/demo
    preset: slack
    sources: [bank]
    events: [LoanApproved*, SavingsDeposit*]
    start: earliest
  zapier:
    url: {receiver}/hooks/catch/1/demo/
    preset: zapier
    sources: [bank]
    events: ["Savings*"]
    start: earliest
egress: {{allow: [127.0.0.0/8]}}
admin: {{host: 127.0.0.1, port: {port}}}
console: {{port: {console_port}, folder: {state}/console}}
state_dir: {state}
"""


def new_secret() -> str:
    """Create a signing secret, as an operator would."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class BridgeProcess:
    """One ``hookferry run``, with configuration, schema files, state and log in one folder."""

    def __init__(self, broker: str, receiver: str, signing_secrets: dict[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hookferry-demo-"))
        self.log = self.folder / "bridge.log"
        port, console_port = _free_port(), _free_port()
        self.admin = f"http://127.0.0.1:{port}"
        self.console = f"http://127.0.0.1:{console_port}"
        self.config = _CONFIG.format(
            group=GROUP,
            broker=broker,
            receiver=receiver,
            port=port,
            console_port=console_port,
            state=self.folder / "state",
        )
        self.config_file = self.folder / "bridge.yaml"
        self._secrets = {f"{name.upper()}_SECRET": secret for name, secret in signing_secrets.items()}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Write the files, start, and return when the bridge is ready. Raises ``HookferryError``."""
        self.config_file.write_text(self.config)
        shutil.copytree(SCHEMAS, self.folder / "schemas")
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("HOOKFERRY_")}
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bridge", "run", "--console", "--config", str(self.config_file)),
                cwd=Path(bridge.__file__).parent.parent,  # run the same code, whatever the current folder
                env=inherited | self._secrets,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches only the demo, which then stops this process
            )
        while await self._get("/readyz") is None:
            self.must_run()
            await asyncio.sleep(0.05)

    def must_run(self) -> None:
        """Raise ``HookferryError`` if the process has ended."""
        if self._process is not None and self._process.returncode is not None:
            raise HookferryError(f"the bridge ended unexpectedly with exit code {self._process.returncode}")

    async def wait(self) -> None:
        """Return when the process has ended."""
        if self._process is not None:
            await self._process.wait()

    async def stop(self) -> None:
        """Send SIGTERM, then SIGKILL if it does not end in time. Do nothing if it never started."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def remove_files(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self, lines: int = 12) -> Iterable[str]:
        """Return the last lines of its log."""
        return self.log.read_text(errors="replace").splitlines()[-lines:] if self.log.exists() else []

    async def records(self, outcome: str) -> int:
        """Return the number of records with this outcome, from ``/metrics``."""
        text = await self._get("/metrics") or ""
        return int(
            sum(
                sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
                if sample.name == "hookferry_records_total" and sample.labels["outcome"] == outcome
            )
        )

    async def _get(self, path: str) -> str | None:
        """Return the text of an admin page, or None without an answer of 200 of a reasonable size."""
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=2), auto_decompress=False) as session,
                session.get(self.admin + path) as response,
            ):
                if response.status != 200:
                    return None
                page = bytearray()
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    page += chunk
                    if len(page) > _MOST_BYTES:
                        return None
                return page.decode("utf-8", "replace")
        except (ClientError, OSError, TimeoutError):
            return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
