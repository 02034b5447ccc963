"""The lists of endpoints on the pages."""

from __future__ import annotations

from bridge.console.pages.names import EndpointNames
from tests.support.console_fake import FakeConsole


async def test_the_figures_of_all_endpoints_are_not_read_for_every_list(monkeypatch):
    fake, reads = FakeConsole(), 0
    endpoints = fake.endpoints

    async def counted():
        nonlocal reads
        reads += 1
        return await endpoints()

    monkeypatch.setattr(fake, "endpoints", counted)
    now_s = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    names = EndpointNames(fake)
    for _ in range(5):
        assert list(await names.all()) == ["crm", "ledger", "slack-ops"]
    assert reads == 1
    now_s += 11
    await names.all()
    assert reads == 2
