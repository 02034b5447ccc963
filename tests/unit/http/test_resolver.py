"""Name resolution: a slow name delays only its own connections, and answers are kept for a fixed time."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.errors import TransportError, TransportFault
from bridge.http import resolver
from bridge.http.dial import Dialer
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lookup_threads import LookupThreads
from bridge.http.resolver import NameResolver
from bridge.model import Url
from tests.support.transports import LOOPBACK

NO_SUCH_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
NO_SERVER = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


class FakeDns:
    """A ``getaddrinfo`` that blocks for every name starting with ``slow`` until ``release`` is set."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked: list[str] = []
        self.running = 0
        self.most_running = 0
        self.address = "127.0.0.1"
        self.failure: Exception | None = None
        self._lock = threading.Lock()

    def __call__(self, host: str, port: Any = None, **options: Any) -> list[Any]:
        with self._lock:
            self.asked.append(host)
            self.running += 1
            self.most_running = max(self.running, self.most_running)
        try:
            if host.startswith("slow"):
                assert self.release.wait(30)
        finally:
            with self._lock:
                self.running -= 1
        if self.failure is not None:
            raise self.failure
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self.address, 0))]


class MovableClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def dns() -> AsyncIterator[FakeDns]:
    fake = FakeDns()
    yield fake
    fake.release.set()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def names(dns: FakeDns, clock: MovableClock) -> NameResolver:
    return NameResolver(dns, clock)


async def addresses(names: NameResolver, host: str, port: int = 443) -> list[str]:
    return [row[4][0] for row in await names.lookup(host, port)]


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_healthy_name_resolves_while_a_hundred_requests_wait_for_a_slow_one(
    dns: FakeDns, names: NameResolver
) -> None:
    waiting = [asyncio.create_task(addresses(names, "slow.example")) for _ in range(100)]
    await until(lambda: dns.running)
    async with asyncio.timeout(5):
        assert await addresses(names, "healthy.example") == ["127.0.0.1"]
    assert not any(task.done() for task in waiting)
    assert dns.asked.count("slow.example") == 1, "one lookup serves all that wait"
    dns.release.set()
    assert await asyncio.gather(*waiting) == [["127.0.0.1"]] * 100
    assert dns.asked.count("slow.example") == 1


async def test_a_healthy_endpoint_connects_while_a_slow_name_is_looked_up(dns: FakeDns) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    dialer = Dialer(EgressPolicy(LOOPBACK, NameResolver(dns).lookup), None, 5)
    slow, healthy = Url("http", "slow.example", port, "/"), Url("http", "healthy.example", port, "/")
    waiting = [asyncio.create_task(dialer.dial(slow, asyncio.Protocol)) for _ in range(100)]  # type: ignore[arg-type]
    await until(lambda: dns.running)
    async with asyncio.timeout(5):
        await dialer.dial(healthy, asyncio.Protocol)  # type: ignore[arg-type]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    server.close()


async def test_a_wait_for_a_name_ends_at_the_connect_timeout_and_names_host_and_remedy(dns: FakeDns) -> None:
    dialer = Dialer(EgressPolicy(LOOPBACK, NameResolver(dns).lookup), None, 0.05)
    for _ in range(3):
        with pytest.raises(TransportError) as caught:
            await dialer.dial(Url("http", "slow.example", 80, "/"), asyncio.Protocol)  # type: ignore[arg-type]
        assert caught.value.fault is TransportFault.CONNECT
        assert "cannot resolve the name slow.example: no answer within 0.05 s; check" in caught.value.detail
    assert dns.asked == ["slow.example"], "a wait that ends starts no other lookup"


async def test_the_answer_of_an_abandoned_lookup_is_used_later(dns: FakeDns, names: NameResolver) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await names.lookup("slow.example", 443)
    dns.release.set()
    await until(lambda: not dns.running)
    assert await addresses(names, "slow.example") == ["127.0.0.1"]
    assert dns.asked == ["slow.example"]


async def test_an_answer_is_fresh_for_five_seconds(
    dns: FakeDns, names: NameResolver, clock: MovableClock
) -> None:
    assert await addresses(names, "a.example") == ["127.0.0.1"]
    dns.address = "127.0.0.2"
    clock.now += 4.9
    assert await addresses(names, "a.example") == ["127.0.0.1"]
    clock.now += 0.2
    assert await addresses(names, "a.example") == ["127.0.0.2"]
    assert len(dns.asked) == 2


async def test_ports_of_one_name_share_its_lookup(dns: FakeDns, names: NameResolver) -> None:
    assert [row[4] for row in await names.lookup("a.example", 443)] == [("127.0.0.1", 443)]
    assert [row[4] for row in await names.lookup("a.example", 8443)] == [("127.0.0.1", 8443)]
    assert dns.asked == ["a.example"]


async def test_an_old_answer_is_used_while_its_refresh_is_slow(
    dns: FakeDns, names: NameResolver, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "SLOW_S", 0.05)
    dns.release.set()
    await names.lookup("slow.example", 443)
    dns.release.clear()
    dns.address = "127.0.0.2"
    clock.now += 200
    assert await addresses(names, "slow.example") == ["127.0.0.1"]
    monkeypatch.setattr(resolver, "SLOW_S", 60)
    clock.now += 61  # the refresh is slow by now: no further wait
    async with asyncio.timeout(5):
        assert await addresses(names, "slow.example") == ["127.0.0.1"]
    dns.release.set()
    await until(lambda: not dns.running)
    assert await addresses(names, "slow.example") == ["127.0.0.2"]
    assert len(dns.asked) == 2


async def test_an_answer_older_than_five_minutes_is_not_used(
    dns: FakeDns, names: NameResolver, clock: MovableClock
) -> None:
    await names.lookup("a.example", 443)
    dns.failure = NO_SERVER
    clock.now += 299
    assert await addresses(names, "a.example") == ["127.0.0.1"], "the refresh failed"
    clock.now += 2
    with pytest.raises(socket.gaierror):
        await names.lookup("a.example", 443)


async def test_an_old_answer_is_dropped_when_the_name_no_longer_exists(
    dns: FakeDns, names: NameResolver, clock: MovableClock
) -> None:
    await names.lookup("a.example", 443)
    clock.now += 6
    dns.failure = NO_SUCH_NAME
    with pytest.raises(socket.gaierror):
        await names.lookup("a.example", 443)
    clock.now += 2
    dns.failure = NO_SERVER
    with pytest.raises(socket.gaierror):
        await names.lookup("a.example", 443)


async def test_a_failure_is_kept_for_one_second(
    dns: FakeDns, names: NameResolver, clock: MovableClock
) -> None:
    dns.failure = NO_SERVER
    for _ in range(2):
        with pytest.raises(socket.gaierror, match="Temporary failure"):
            await names.lookup("a.example", 443)
    assert len(dns.asked) == 1
    clock.now += 1.1
    dns.failure = None
    assert await addresses(names, "a.example") == ["127.0.0.1"]


@pytest.mark.parametrize("kept", ["fresh", "old"])
async def test_the_address_policy_applies_to_kept_answers(
    kept: str, dns: FakeDns, names: NameResolver, clock: MovableClock
) -> None:
    await names.lookup("a.example", 443)
    if kept == "old":
        dns.failure = NO_SERVER
        clock.now += 60
    with pytest.raises(TransportError) as caught:
        await EgressPolicy([], names.lookup).resolve("a.example", 443)
    assert caught.value.fault is TransportFault.REFUSED_ADDRESS


async def test_a_rebound_name_is_refused_after_its_answer_expires(
    dns: FakeDns, names: NameResolver, clock: MovableClock
) -> None:
    egress = EgressPolicy(LOOPBACK, names.lookup)
    assert await egress.resolve("a.example", 443)
    dns.address = "169.254.169.254"
    clock.now += 6
    with pytest.raises(TransportError) as caught:
        await egress.resolve("a.example", 443)
    assert caught.value.fault is TransportFault.REFUSED_ADDRESS


@pytest.mark.parametrize("literal", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "::1"])
async def test_an_address_is_no_name_and_is_not_looked_up(
    literal: str, dns: FakeDns, names: NameResolver
) -> None:
    assert (await names.lookup(literal, 443))[0][4][:2] in {("127.0.0.1", 443), ("::1", 443)}
    assert not dns.asked


async def test_the_number_of_names_is_bounded(
    dns: FakeDns, names: NameResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "MAX_NAMES", 3)
    for host in ("a.example", "b.example", "c.example", "a.example", "d.example"):
        await names.lookup(host, 443)
    assert len(names) == 3
    await names.lookup("a.example", 443)
    assert dns.asked.count("a.example") == 1, "the name that was unused longest is dropped"
    await names.lookup("b.example", 443)
    assert dns.asked.count("b.example") == 2


async def test_a_name_is_not_dropped_while_its_lookup_runs(
    dns: FakeDns, names: NameResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each new name could start another lookup of a slow one."""
    monkeypatch.setattr(resolver, "MAX_NAMES", 2)
    waiting = [asyncio.create_task(names.lookup(f"slow{index}.example", 443)) for index in range(2)]
    await until(lambda: dns.running == 2)
    with pytest.raises(socket.gaierror, match="2 other names"):
        await names.lookup("a.example", 443)
    dns.release.set()
    await asyncio.gather(*waiting)
    assert await addresses(names, "a.example") == ["127.0.0.1"]
    assert len(names) == 2


async def test_threads_are_bounded_and_names_known_to_be_slow_leave_some_free(
    dns: FakeDns, names: NameResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "MAX_THREADS", 4)
    monkeypatch.setattr(resolver, "MAX_THREADS_FOR_SLOW", 2)
    monkeypatch.setattr(resolver, "FRESH_S", 0.0)
    monkeypatch.setattr(resolver, "SLOW_S", 0.02)
    waiting = [asyncio.create_task(names.lookup(f"slow{index}.example", 443)) for index in range(8)]
    await until(lambda: dns.running == 4)
    await asyncio.sleep(0.05)  # longer than SLOW_S
    dns.release.set()
    await asyncio.gather(*waiting)
    assert dns.most_running == 4

    dns.release.clear()
    dns.most_running = 0
    for host in dns.asked[:4]:  # these waited, so they are known to be slow
        assert await addresses(names, host) == ["127.0.0.1"], "the old answer"
    async with asyncio.timeout(5):
        assert await addresses(names, "healthy.example") == ["127.0.0.1"]
    assert dns.most_running == 3, "two slow names and the healthy one"


async def test_threads_are_used_again_and_end_when_idle(
    dns: FakeDns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "IDLE_S", 0.2)
    names, before = NameResolver(dns), set(threading.enumerate())
    for index in range(20):
        await names.lookup(f"{index}.example", 443)
    started = [thread for thread in threading.enumerate() if thread not in before]
    assert 1 <= len(started) <= 3, "a thread that is about to be idle may count as busy"
    assert all(thread.daemon for thread in started)
    await until(lambda: not any(thread.is_alive() for thread in started))
    assert await addresses(names, "later.example") == ["127.0.0.1"]


def test_jobs_that_arrive_together_do_not_wait_for_one_idle_thread() -> None:
    threads, both, done = LookupThreads(5), threading.Barrier(2), threading.Semaphore(0)

    def job() -> None:
        both.wait(5)  # breaks unless both jobs run at once
        done.release()

    idle = threading.Event()
    threads.submit(idle.set)
    assert idle.wait(5)
    for _ in range(2):
        threads.submit(job)
    assert done.acquire(timeout=5)
    assert done.acquire(timeout=5)


async def test_a_lookup_that_cannot_start_a_thread_fails_and_the_next_one_works(
    dns: FakeDns, names: NameResolver, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="can't start new thread"):
            await names.lookup("a.example", 443)
    clock.now += 1.1
    assert await addresses(names, "a.example") == ["127.0.0.1"]


async def test_a_name_that_cannot_be_encoded_is_a_connect_fault() -> None:
    with pytest.raises(TransportError) as caught:
        await EgressPolicy([]).resolve("a..example", 443)
    assert caught.value.fault is TransportFault.CONNECT
