"""Build the parts of the Kafka edge from the settings, and the names of the topics."""

from __future__ import annotations

import ssl

from bridge.core.memory_budget import MOST_BATCH_BYTES
from bridge.core.switches import EventTypes, Switches
from bridge.http.tls import load_configured_context
from bridge.http.token import ClientCredentials
from bridge.kafka.client import KafkaOptions
from bridge.kafka.control_topic import ControlTopic
from bridge.kafka.membership import Membership
from bridge.settings import (
    KafkaSettings,
    Settings,
)


def control_topic(group: str) -> str:
    """Return the topic of the switches and holds of a group."""
    return f"{group}.control"


def build_kafka_options(kafka: KafkaSettings) -> KafkaOptions:
    """Build the connection options. Raises ``ConfigError`` for TLS files that do not load."""
    sasl = kafka.sasl
    fetch_token = None
    if sasl is not None and sasl.mechanism == "OAUTHBEARER" and sasl.token_url and sasl.client_id:
        secret = sasl.client_secret.get_secret_value() if sasl.client_secret else ""
        fetch_token = ClientCredentials(sasl.token_url, sasl.client_id, secret, sasl.scope).token
    return KafkaOptions(
        bootstrap_servers=tuple(kafka.bootstrap_servers),
        security_protocol=kafka.security_protocol,
        ssl_context=_kafka_tls(kafka) if kafka.security_protocol.endswith("SSL") else None,
        sasl_mechanism=sasl.mechanism if sasl else "PLAIN",
        sasl_username=sasl.username if sasl else None,
        sasl_password=sasl.password.get_secret_value() if sasl and sasl.password else None,
        fetch_token=fetch_token,
    )


def _kafka_tls(kafka: KafkaSettings) -> ssl.SSLContext:
    context = load_configured_context("kafka.tls", kafka.tls)
    context.check_hostname = kafka.tls.check_hostname
    return context


def build_membership(settings: Settings, max_batch_bytes: int = MOST_BATCH_BYTES) -> Membership:
    """Build the membership of this process in the consumer group. A batch has at most ``max_batch_bytes``."""
    kafka = settings.kafka
    return Membership(
        group=settings.group,
        topics=(*source_topics(settings), again_topic(settings)),
        session_timeout_s=kafka.session_timeout_s,
        heartbeat_interval_s=kafka.heartbeat_interval_s,
        rebalance_timeout_s=kafka.rebalance_timeout_s,
        instance_id=kafka.group_instance_id,
        max_batch_bytes=max_batch_bytes,
    )


def build_control(
    settings: Settings, switches: Switches[str], event_types: Switches[EventTypes], who: str
) -> ControlTopic:
    """Build the part that follows and writes the control topic; ``who`` is recorded with each switch."""
    options, topic = build_kafka_options(settings.kafka), control_topic(settings.group)
    return ControlTopic(options, topic, switches, event_types, who)


def source_topics(settings: Settings) -> tuple[str, ...]:
    """Return the topics of all sources."""
    return tuple(topic for source in settings.sources.values() for topic in source.topics)


def parked_topic(settings: Settings) -> str:
    """Return the dead-letter topic of the group."""
    return f"{settings.group}.parked"


def again_topic(settings: Settings) -> str:
    """Return the topic of the events to send again."""
    return f"{settings.group}.again"
