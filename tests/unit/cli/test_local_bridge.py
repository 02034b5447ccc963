"""``endpoints list`` shows what limits the endpoints of the bridge on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bridge.app.admin_server import AdminServer
from bridge.app.admin_tls import AdminTls
from bridge.cli.local_bridge import ask_limits, ask_readiness, describe_limits
from bridge.settings import AdminTlsSettings, Settings
from bridge.telemetry.metrics import Metrics
from tests.support.ports import free_port
from tests.support.tls import make_authority

SLOWED = {"crm": "12.0 per second (3 of 30 answers: too many requests)"}


def settings_of(
    port: int, group: str = "bank", host: str = "0.0.0.0", tls: AdminTlsSettings | None = None
) -> Settings:
    admin = SimpleNamespace(host=host, port=port, tls=tls)
    return cast("Settings", SimpleNamespace(group=group, admin=admin))


async def shown(slowed: dict[str, str], group: str = "bank", tls: AdminTlsSettings | None = None) -> str:
    """Return the line about a bridge of the group ``bank`` with these limits."""
    port = free_port()
    document: dict[str, Any] = {"group": "bank", "slowed": slowed}
    server = AdminServer(
        "127.0.0.1",
        port,
        Metrics().registry,
        lambda: (True, "assigned: 4 partitions\nconfiguration: 1234 since now"),
        lambda: document,
        tls=AdminTls(tls) if tls else None,
    )
    await server.start()
    try:
        settings = settings_of(port, group, tls=tls)
        ready = await asyncio.to_thread(ask_readiness, settings)
        assert ready == (True, "assigned: 4 partitions; configuration: 1234 since now")
        line = describe_limits(settings, await asyncio.to_thread(ask_limits, settings))
    finally:
        await server.stop()
    return line.replace(str(port), "PORT")


async def test_the_limits_of_the_bridge_on_this_machine_are_shown_with_their_reasons() -> None:
    where = "slowed in the bridge at 127.0.0.1:PORT"
    assert await shown(SLOWED) == f"{where}: crm to 12.0 per second (3 of 30 answers: too many requests)"
    assert await shown({}) == f"{where}: none"


async def test_a_port_with_tls_is_asked_over_tls_whatever_names_are_in_its_certificate(
    tmp_path: Path,
) -> None:
    authority = make_authority(tmp_path)
    tls = AdminTlsSettings(cert_file=authority.cert_file, key_file=authority.key_file)
    assert "crm to 12.0 per second" in await shown(SLOWED, tls=tls)


async def test_a_bridge_of_another_group_is_not_taken_for_this_one() -> None:
    assert "does not answer" in await shown(SLOWED, group="shop")


def test_without_a_bridge_on_this_machine_the_line_says_where_limits_are_shown() -> None:
    settings = settings_of(free_port())
    assert ask_readiness(settings) is None
    line = describe_limits(settings, ask_limits(settings))
    assert line.endswith("does not answer; each bridge shows its own at /readyz")
