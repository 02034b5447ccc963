"""The supervisor: one admin port for all workers, signals for all, and an end that takes bounded time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from bridge.app.exit_codes import ExitCode
from bridge.app.stop import OVERTIME_S
from bridge.errors import ConfigError
from bridge.settings import Settings, load
from bridge.settings.models.process import AdminTlsSettings
from bridge.storage.state_dir import StateDir
from bridge.telemetry import events
from bridge.workers.launch import Plan, plan_workers
from bridge.workers.supervisor import Supervisor
from tests.support.fake_process import FakeProcess
from tests.support.ports import free_port
from tests.support.settings_example import VALID
from tests.support.simulated import simulated, until
from tests.support.tls import make_authority


class Crew:
    """A supervisor whose processes are fakes; ``processes`` has the latest one of each worker."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self.settings = load_settings(folder)
        self.processes: dict[int, FakeProcess] = {}
        self.started = 0
        plan = Plan(["none"], folder / "state", None, 64, is_terminal=False)
        self.supervisor = Supervisor(self.settings, plan, workers, self._start)

    async def _start(self, _: Plan, number: int) -> FakeProcess:
        self.started += 1
        self.processes[number] = FakeProcess(number * 100, failures=number)
        return self.processes[number]


def load_settings(folder: Path, more: str = "") -> Settings:
    file = folder / "bridge.yaml"
    (folder / "avro").mkdir(exist_ok=True)
    file.write_text(f"{VALID}\nstate_dir: {folder / 'state'}\nadmin: {{port: {free_port()}}}\n{more}")
    return load(file, {})


@asynccontextmanager
async def running(crew: Crew) -> AsyncIterator[httpx.AsyncClient]:
    """Run the supervisor until the end of the context, which it must end with success."""
    run = asyncio.create_task(crew.supervisor.run())
    base = f"http://127.0.0.1:{crew.settings.admin.port}"
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client, asyncio.timeout(60):
        while crew.started < 2:
            assert not run.done()
            await asyncio.sleep(0.01)
        yield client
        os.kill(os.getpid(), signal.SIGTERM)
        assert await run is ExitCode.SUCCESS


async def test_ready_when_all_workers_are(tmp_path: Path) -> None:
    crew = Crew(tmp_path)
    async with running(crew) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 200
        assert answer.text == "worker 1: assigned: 2 partitions; worker 2: assigned: 2 partitions\n"
        crew.processes[2].ready = False
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.text.partition(";")[0]) == (
            503,
            "worker 2 is not ready: rebalancing",
        )
        crew.processes[1].answers = False
        answer = await client.get("/readyz")
        assert answer.text.startswith("worker 1 is not ready: its process does not answer; worker 2")
        assert (await client.get("/healthz")).text == "alive\n"


async def test_metrics_are_summed_and_show_which_worker_is_down(tmp_path: Path) -> None:
    crew = Crew(tmp_path)
    async with running(crew) as client:
        text = (await client.get("/metrics")).text
        assert 'hookferry_signature_failures_total{endpoint="crm"} 3.0' in text
        assert 'hookferry_worker_up{worker="2"} 1.0' in text
        assert 'hookferry_memory_resident_bytes{worker="supervisor"}' in text
        crew.processes[2].answers = False
        text = (await client.get("/metrics")).text
        assert 'hookferry_signature_failures_total{endpoint="crm"} 3.0' in text, "a counter fell"
        assert 'hookferry_worker_up{worker="2"} 0.0' in text
        assert "hookferry_ready 0.0" in text
        assert 'hookferry_memory_resident_bytes{worker="2"}' not in text
        crew.processes[2].end(-9)
        while crew.started < 3:
            await asyncio.sleep(0.01)
        text = (await client.get("/metrics")).text
        assert 'hookferry_signature_failures_total{endpoint="crm"} 5.0' in text
        assert 'hookferry_worker_restarts_total{worker="2"} 1.0' in text


async def test_limits_and_keys_are_those_of_all_workers(tmp_path: Path) -> None:
    crew = Crew(tmp_path)
    async with running(crew) as client:
        crew.processes[2].slowed = {"crm": "2.0 per second (429)"}
        answer = (await client.get("/limits")).json()
        assert answer == {"group": "hookferry", "slowed": {"crm": "worker 2: 2.0 per second (429)"}}
        keys = (await client.get("/.well-known/jwks.json")).json()
        assert keys == {"keys": [{"kid": 100}, {"kid": 200}]}


async def test_the_access_rules_of_the_admin_port_apply(tmp_path: Path) -> None:
    async with running(Crew(tmp_path)) as client:
        answer = await client.get("/metrics", headers={"Host": "evil.example"})
        assert answer.status_code == 421


async def test_the_port_has_the_certificate_and_the_names_of_the_settings(tmp_path: Path) -> None:
    crew = Crew(tmp_path)
    authority = make_authority(tmp_path)
    tls = AdminTlsSettings(cert_file=authority.cert_file, key_file=authority.key_file)
    admin = crew.settings.admin.model_copy(update={"tls": tls, "hosts": ["bridge.example"]})
    crew.supervisor._settings = crew.settings.model_copy(update={"admin": admin})
    async with running(crew):
        base = f"https://localhost:{admin.port}"
        async with httpx.AsyncClient(verify=authority.client_context(), trust_env=False) as client:
            answer = await client.get(f"{base}/readyz", headers={"Host": "bridge.example"})
    assert answer.status_code == 200


async def test_signals_are_passed_on_and_hangup_stops_nothing(tmp_path: Path) -> None:
    crew = Crew(tmp_path)
    async with running(crew):
        for number in (signal.SIGHUP, signal.SIGUSR1):
            os.kill(os.getpid(), number)
            while any(number not in process.signals for process in crew.processes.values()):
                await asyncio.sleep(0.01)
    assert all(signal.SIGTERM in process.signals for process in crew.processes.values())
    assert crew.started == 2


async def test_a_mistake_that_one_worker_finds_stops_all(tmp_path: Path) -> None:
    crew = Crew(tmp_path)
    run = asyncio.create_task(crew.supervisor.run())
    async with asyncio.timeout(60):
        while crew.started < 2:
            await asyncio.sleep(0.01)
        crew.processes[1].end(2)
        assert await run is ExitCode.USAGE
    assert crew.processes[2].signals == [signal.SIGTERM]
    assert crew.started == 2


def test_a_worker_that_does_not_stop_is_killed_after_its_deadline(tmp_path: Path) -> None:
    @simulated
    async def run() -> None:
        crew = Crew(tmp_path)
        running = asyncio.create_task(crew.supervisor._run_workers())  # without the port, which needs threads
        await until(lambda: crew.started == 2)
        crew.processes[2].stops = False
        began = asyncio.get_running_loop().time()
        crew.supervisor._stop()
        assert await running is ExitCode.ABANDONED
        took_s = asyncio.get_running_loop().time() - began
        drain_s = crew.settings.drain_timeout_s
        assert drain_s + OVERTIME_S < took_s < drain_s + 10, "later than the chart's grace period"
        assert crew.processes[2].signals == [signal.SIGTERM, signal.SIGKILL]
        assert crew.processes[1].signals == [signal.SIGTERM], "the other one had ended"

    run()


def test_a_worker_that_hangs_is_killed_and_started_again(tmp_path: Path) -> None:
    """One that starts slowly is not, and a few missing answers are nothing."""

    @simulated
    async def run() -> None:
        crew = Crew(tmp_path)
        running = asyncio.create_task(crew.supervisor._run_workers())
        await until(lambda: crew.started == 2)
        slow, hung = crew.processes[1], crew.processes[2]
        slow.answers = False
        await asyncio.sleep(20)
        hung.answers = False
        await asyncio.sleep(20)
        hung.answers = True
        await asyncio.sleep(20)
        assert crew.started == 2
        with capture_logs() as lines:
            hung.answers = False
            await until(lambda: crew.started == 3, within_s=100)
        (line,) = [line for line in lines if line["event"] == events.WORKER_HUNG]
        assert (line["worker"], hung.signals, slow.signals) == (2, [signal.SIGKILL], [])
        slow.answers = True
        crew.supervisor._stop()
        assert await running is ExitCode.SUCCESS

    run()


def test_more_workers_than_partitions_are_logged_once(tmp_path: Path) -> None:
    @simulated
    async def run() -> None:
        crew = Crew(tmp_path)
        running = asyncio.create_task(crew.supervisor._run_workers())  # without the port, which needs threads
        await until(lambda: crew.started == 2)
        with capture_logs() as lines:
            crew.processes[2].stands_by = True
            await asyncio.sleep(60)
            crew.processes[1].ready = False  # as in a rebalance: it is not known who has no partition
            await asyncio.sleep(20)
            crew.processes[1].ready = True
            await asyncio.sleep(20)
        idle = [line for line in lines if line["event"] == events.WORKERS_IDLE]
        assert [line["workers"] for line in idle] == [[2]]
        assert {"cause", "remedy"} <= idle[0].keys()
        crew.supervisor._stop()
        assert await running is ExitCode.SUCCESS

    run()


async def test_a_folder_in_use_or_a_taken_port_ends_it_before_any_worker_starts(tmp_path: Path) -> None:
    crew = Crew(tmp_path)
    working = StateDir(tmp_path / "state")
    with pytest.raises(ConfigError, match="another process works in it"):
        await crew.supervisor.run()
    working.release()
    server = await asyncio.start_server(lambda _, __: None, "127.0.0.1", crew.settings.admin.port)
    with pytest.raises(ConfigError, match="cannot listen"):
        await crew.supervisor.run()
    server.close()
    assert not crew.started
    StateDir(tmp_path / "state").release()


def test_the_workers_divide_the_memory_and_have_their_own_folders_and_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.workers.launch.resident_bytes", lambda: 60 * 1024 * 1024)
    settings = load_settings(tmp_path, "memory_budget: 900MiB\n")
    plan = plan_workers(settings, tmp_path / "bridge.yaml", 3)
    assert plan.memory_mib == 280, "a third of it, less what the supervisor uses"
    own = plan.environment(2)
    assert own["HOOKFERRY_STATE_DIR"] == str(tmp_path / "state" / "worker-2")
    assert own["HOOKFERRY_MEMORY_BUDGET"] == f"{plan.memory_mib}MiB"
    assert "HOOKFERRY_KAFKA__GROUP_INSTANCE_ID" not in own
    named = plan._replace(instance_id="pod-1", is_terminal=True).environment(2)
    assert named["HOOKFERRY_KAFKA__GROUP_INSTANCE_ID"] == "pod-1.worker-2"
    assert named["HOOKFERRY_LOG__FORMAT"] == "console"


def test_a_memory_that_is_too_small_to_divide_is_still_valid(tmp_path: Path) -> None:
    """Each worker then logs ``memory.limit_low``."""
    plan = plan_workers(load_settings(tmp_path, "memory_budget: 64MiB\n"), tmp_path / "bridge.yaml", 8)
    environment = {name: text for name, text in plan.environment(1).items() if name.startswith("HOOKFERRY_")}
    assert load(tmp_path / "bridge.yaml", environment).memory_budget == "64MiB"
