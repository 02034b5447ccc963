"""Build the parts of the Kafka edge from the settings, and the names of the topics."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping

from bridge.core.beginning import Beginnings
from bridge.core.member_name import member_name
from bridge.core.memory_budget import MOST_BATCH_BYTES
from bridge.core.switches import EventTypes, Switches
from bridge.dead_letters.store import DeadLetterStore
from bridge.dead_letters.topic import DeadLetterTopic, RecordWriter
from bridge.history.store import HistoryStore
from bridge.http.tls import load_configured_context
from bridge.kafka.client import KafkaOptions
from bridge.kafka.control_topic import ControlTopic
from bridge.kafka.membership import Membership
from bridge.kafka.producer import DurableProducer
from bridge.kafka.record_size import HISTORY_CODEC
from bridge.model import Record
from bridge.settings import KafkaSettings, Settings
from bridge.storage.state_dir import StateDir
from bridge.wiring.tokens import build_kafka_token
from bridge.wiring.topics import build_selection


def control_topic(group: str) -> str:
    """Return the topic of the switches, holds and beginnings of a group."""
    return f"{group}.control"


def build_kafka_options(kafka: KafkaSettings) -> KafkaOptions:
    """Build the connection options. Raises ``ConfigError`` for files or packages that do not load."""
    sasl = kafka.sasl
    fetch_token = build_kafka_token(sasl) if sasl else None
    return KafkaOptions(
        bootstrap_servers=tuple(kafka.bootstrap_servers),
        security_protocol=kafka.security_protocol,
        ssl_context=_kafka_tls(kafka) if kafka.security_protocol.endswith("SSL") else None,
        sasl_mechanism="OAUTHBEARER" if fetch_token else sasl.mechanism if sasl else "PLAIN",
        sasl_username=sasl.username if sasl else None,
        sasl_password=sasl.password.get_secret_value() if sasl and sasl.password else None,
        fetch_token=fetch_token,
        compression=kafka.compression,
    )


def _kafka_tls(kafka: KafkaSettings) -> ssl.SSLContext:
    context = load_configured_context("kafka.tls", kafka.tls)
    context.check_hostname = kafka.tls.check_hostname
    return context


def build_member_name(state: StateDir) -> str | None:
    """Build the default name of this process in the group; None if it would not last."""
    state_id = state.identity()
    return state_id and member_name(socket.gethostname(), state_id, str(state.path.resolve()))


def build_membership(
    settings: Settings, default_name: str | None, max_batch_bytes: int = MOST_BATCH_BYTES
) -> Membership:
    """Build the membership of this process in the consumer group; with a None name it is a dynamic one.

    A batch has at most ``max_batch_bytes``.
    """
    kafka, selection, again = settings.kafka, build_selection(settings), again_topic(settings)
    return Membership(
        group=settings.group,
        topics=(*selection.names, again),
        pattern=selection.expression([again]) if selection.patterns else None,
        session_timeout_s=kafka.session_timeout_s,
        heartbeat_interval_s=kafka.heartbeat_interval_s,
        rebalance_timeout_s=kafka.rebalance_timeout_s,
        instance_id=kafka.group_instance_id or default_name,
        max_batch_bytes=max_batch_bytes,
    )


def build_control(
    settings: Settings,
    switches: Switches[str],
    event_types: Switches[EventTypes],
    who: str,
    beginnings: Beginnings | None = None,
    others: Mapping[bytes, Callable[[Record], None]] | None = None,
) -> ControlTopic:
    """Build the part that follows and writes the control topic; ``who`` is recorded with each switch.

    It keeps in ``beginnings`` where the endpoints have begun. ``others`` get the records of other kinds.
    """
    options, topic = build_kafka_options(settings.kafka), control_topic(settings.group)
    return ControlTopic(options, topic, switches, event_types, who, beginnings, others)


def build_dead_letters(settings: Settings, writer: RecordWriter) -> DeadLetterTopic:
    """Build the part that parks records."""
    return DeadLetterTopic(writer, parked_topic(settings), stubs=settings.park_oversize == "stub")


def build_letters(settings: Settings) -> DeadLetterStore:
    """Build the part that reads and redrives dead letters; it connects when it is entered."""
    topics = parked_topic(settings), again_topic(settings), control_topic(settings.group)
    return DeadLetterStore(build_kafka_options(settings.kafka), *topics)


def parked_topic(settings: Settings) -> str:
    """Return the dead-letter topic of the group."""
    return f"{settings.group}.parked"


def attempts_topic(settings: Settings) -> str:
    """Return the topic of the history of a group."""
    return f"{settings.group}.attempts"


def build_history_producer(settings: Settings) -> DurableProducer:
    """Build the producer of the history: one of its own, so that nothing waits behind attempts.

    A stop that has little time left spends little on it: what was to be written was flushed before.
    """
    options = build_kafka_options(settings.kafka)
    codec = HISTORY_CODEC if options.compression == "zstd" else options.compression
    return DurableProducer(options, "the history", codec=codec, close_timeout_s=0.3)


def build_report_producer(settings: Settings) -> DurableProducer:
    """Build the producer of the reports of this process: nothing waits for it."""
    return DurableProducer(build_kafka_options(settings.kafka), "the pod reports", close_timeout_s=0.3)


def build_history_store(settings: Settings) -> HistoryStore:
    """Build the part that finds attempts; it connects when it is entered."""
    return HistoryStore(build_kafka_options(settings.kafka), attempts_topic(settings))


def again_topic(settings: Settings) -> str:
    """Return the topic of the events to send again."""
    return f"{settings.group}.again"
