"""Build what sends attempts of the history again."""

from __future__ import annotations

from bridge.resend.service import GroupTopics, Resending
from bridge.settings import Settings
from bridge.wiring.kafka import again_topic, attempts_topic, build_kafka_options, control_topic
from bridge.wiring.topics import build_selection


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
