"""What the commands share: reading settings, switches and cursors from Kafka."""

from __future__ import annotations

import getpass
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.core.switches import EventTypes, Switches
    from bridge.kafka.session import AdminSession
    from bridge.settings import Settings
    from bridge.settings.uses import Uses


def quiet_logs() -> None:
    """Send logs to standard error, so that output can be piped, and only errors of our own."""
    import logging

    from bridge.telemetry import logs

    logs.set_up("error", "console", sys.stderr)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # our error message contains the cause


def read_settings(path: Path, used: Uses | None = None) -> Settings:
    """Read the settings for a command that prints its own errors.

    ``used``: what the command uses; by default the connection to Kafka. Mistakes elsewhere, such as a secret
    of a receiver that is not set here, do not stop it. Raises ``ConfigError``.
    """
    import os

    from bridge.settings import load_for, uses

    quiet_logs()
    return load_for(path, os.environ, used or uses.KAFKA)


async def ensure_control_topic(settings: Settings) -> None:
    """Create the control topic if it is missing. Raises ``KafkaUnavailable`` with the remedy."""
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
    """Load the switches from the control topic. Without the topic, nothing is off.

    Raises ``KafkaUnavailable``.
    """
    from bridge.kafka.session import AdminSession
    from bridge.wiring.kafka import build_kafka_options

    async with AdminSession(build_kafka_options(settings.kafka)) as visit:
        await load_switches_over(visit, settings, switches, event_types)


async def load_switches_over(
    visit: AdminSession, settings: Settings, switches: Switches[str], event_types: Switches[EventTypes]
) -> None:
    """Load the switches as ``load_switches`` does, for a command that is connected already."""
    from bridge.wiring.kafka import build_control, control_topic

    if control_topic(settings.group) in await visit.topics():
        await build_control(settings, switches, event_types, operator_name()).load()


def operator_name() -> str:
    """Return who runs the command, for the record of a change."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        name = "operator"
    return f"{name} at {socket.gethostname()}"
