"""What the commands that look at a running bridge share: settings, rows, tables, who asks."""

from __future__ import annotations

import getpass
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.cli.lag import Standing
    from bridge.core.switches import EventTypes, Switches
    from bridge.kafka.session import AdminSession
    from bridge.settings import Settings


def read_settings(path: Path) -> Settings:
    """The settings; logs go to standard error, so that output can be piped. Raises ``ConfigError``."""
    import logging
    import os

    from bridge.settings import load
    from bridge.telemetry import logs

    logs.set_up("error", "console", sys.stderr)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it says of a failure, our error says
    return load(path, os.environ)


async def ensure_control_topic(settings: Settings) -> None:
    """Make the topic that holds what is switched off, or say how. Raises ``KafkaUnavailable``."""
    from bridge.kafka.session import AdminSession
    from bridge.kafka.topic_setup import CONTROL_CONFIGS
    from bridge.wiring.kafka import build_kafka_options, control_topic

    async with AdminSession(build_kafka_options(settings.kafka)) as visit:
        await visit.ensure_topic(
            control_topic(settings.group),
            create=settings.kafka.create_topics,
            replication_factor=settings.kafka.replication_factor,
            configs=CONTROL_CONFIGS,
        )


async def load_switches(
    settings: Settings, switches: Switches[str], event_types: Switches[EventTypes]
) -> None:
    """Take in what is switched off now; nothing is, where the topic is not there yet.

    Raises ``KafkaUnavailable``.
    """
    from bridge.kafka.session import AdminSession
    from bridge.wiring.kafka import build_control, build_kafka_options, control_topic

    async with AdminSession(build_kafka_options(settings.kafka)) as visit:
        there = control_topic(settings.group) in await visit.topics()
    if there:
        await build_control(settings, switches, event_types, who()).load()


async def standings(visit: AdminSession, settings: Settings, names: Iterable[str]) -> list[Standing]:
    """The rows of these cursors. Raises ``KafkaUnavailable``, ``CommitError``."""
    from bridge.cli.lag import standing
    from bridge.wiring.kafka import source_topics

    topics = frozenset(source_topics(settings))
    committed = {name: await visit.committed(f"{settings.group}.{name}") for name in names}
    elsewhere = {partition.topic for places in committed.values() for partition in places}
    ends = await visit.log_ends(topics | elsewhere)
    return [
        row
        for name, places in committed.items()
        for configured in [name in settings.endpoints]
        for row in standing(
            name, configured, places, ends, [one for one in ends if configured and one.topic in topics]
        )
    ]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def who() -> str:
    """Who asks, for the record of a change."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        name = "operator"
    return f"{name} at {socket.gethostname()}"
