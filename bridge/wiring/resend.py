"""Build what sends attempts of the history again, and what follows them for a developer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from bridge.http.tls import SystemTls
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topics import count_partitions
from bridge.model import Url
from bridge.resend.follow import AttemptFollower
from bridge.resend.forward import Forwarder
from bridge.resend.service import GroupTopics, Resending
from bridge.settings import Settings
from bridge.wiring.kafka import again_topic, attempts_topic, build_kafka_options, control_topic
from bridge.wiring.topics import build_selection

_THIS_MACHINE = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def build_resending(settings: Settings) -> Resending:
    """Build the part that sends attempts again; it connects for each call. Raises ``ConfigError``."""
    selection = build_selection(settings)
    topics = GroupTopics(
        settings.group, again_topic(settings), attempts_topic(settings), control_topic(settings.group)
    )
    return Resending(
        build_kafka_options(settings.kafka),
        topics,
        settings.endpoints,
        lambda topic: selection.source_of(topic) is not None,
    )


def build_forwarder(settings: Settings, url: Url) -> Forwarder:
    """Build what forwards attempts to a developer: to this machine, or as ``egress.allow`` permits."""
    egress = EgressPolicy((*settings.egress.allow, *_THIS_MACHINE))
    return Forwarder(url, LeanTransport(egress, 1, SystemTls()))


@asynccontextmanager
async def open_follower(settings: Settings) -> AsyncIterator[AttemptFollower]:
    """Connect what follows the history. Raises ``KafkaUnavailable``, also if its topic does not exist."""
    options, topic = build_kafka_options(settings.kafka), attempts_topic(settings)
    counts = await count_partitions(options, [topic])
    async with SideReader(options, max_batch=16) as reader:
        yield AttemptFollower(reader, topic, counts[topic])
