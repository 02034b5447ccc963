"""What the wiring builds for sources with patterns: the subscription, and the decoder of a new topic."""

from __future__ import annotations

import pytest

from bridge.core.topic_selection import TopicSelection
from bridge.errors import DecodeError
from bridge.formats.resent import AgainDecoder, packed
from bridge.model import Partition, Record, Resend
from bridge.settings import Settings
from bridge.wiring.decoders import build_decoders
from bridge.wiring.kafka import build_membership
from bridge.wiring.topics import build_selection


def settings_of(**topics: list[str]) -> Settings:
    source = {"format": "json", "id": "id", "type": "type"}
    return Settings.model_validate(
        {
            "group": "g",
            "kafka": {"bootstrap_servers": ["localhost:9092"]},
            "sources": {name: source | {"topics": texts} for name, texts in topics.items()},
            "endpoints": {"crm": {"url": "https://crm.example.com/hooks"}},
        }
    )


def test_a_topic_that_appears_gets_the_decoder_of_its_source_and_keeps_it() -> None:
    decoders = build_decoders(settings_of(loans=["bank.loan.*", "bank.x"], bank=["bank.*", "!*.audit"]))
    assert decoders["bank.loan.eu"] is decoders.by_source["loans"]
    assert decoders["bank.x"] is decoders.by_source["loans"]
    assert decoders["bank.client"] is decoders.by_source["bank"]
    assert dict.get(decoders, "bank.client") is decoders.by_source["bank"], "it is looked up each time"
    for topic in ("bank.audit", "shop", "g.parked", "__consumer_offsets"):
        with pytest.raises(KeyError):
            decoders[topic]
        assert topic not in decoders


def test_an_event_of_a_topic_that_no_longer_exists_can_be_sent_again_if_a_pattern_matches_it() -> None:
    """A parked event outlives its topic: its decoder is found by name, not among the topics read so far."""
    decoders = build_decoders(settings_of(bank=["bank.*"]))
    again = decoders["g.again"]
    assert isinstance(again, AgainDecoder)
    for topic, known in (("bank.old", True), ("shop", False)):
        origin = Record(Partition(topic, 0), 7, 1, b"k", b'{"id": "1", "type": "t"}', ())
        resend = Resend(origin, "crm", "again-1", 0, "")
        record = Record(Partition("g.again", 0), 0, 1, b"k", origin.value, packed(resend))
        if known:
            (event,) = again.decode(record)
            assert event.topic == topic  # type: ignore[union-attr]
        else:
            with pytest.raises(DecodeError, match="no source reads topic 'shop'"):
                again.decode(record)


def test_without_a_pattern_the_member_subscribes_by_name_and_with_one_to_exactly_what_sources_read() -> None:
    assert build_membership(settings_of(bank=["a", "b"]), None).pattern is None
    membership = build_membership(settings_of(bank=["bank.*", "!bank.audit"], shop=["shop"]), None)
    assert membership.pattern is not None
    matched = [
        topic
        for topic in ("bank.a", "bank.audit", "shop", "shops", "g.again", "g.control", "__bank.a", "x.again")
        if membership.pattern.match(topic)
    ]
    assert matched == ["bank.a", "shop", "g.again"]
    assert set(membership.topics) == {"shop", "g.again"}


def test_a_sample_of_a_source_with_patterns_has_a_topic_that_the_source_reads() -> None:
    selection = build_selection(settings_of(bank=["bank.[xy]-?.*"], shop=["shop.*", "shop"]))
    assert selection.source_of(selection.example("bank")) == "bank"
    assert selection.example("shop") == "shop"
    assert isinstance(selection, TopicSelection)
