"""The doctor judges the settings of topics and the rights of a login, with the command that repairs them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from bridge.kafka import rights as reading
from bridge.kafka.client import KafkaOptions
from bridge.kafka.metadata_request import MetadataResponseV10
from bridge.kafka.rights import Rights, TopicFacts, read_rights
from bridge.preflight.probes.brokers import judge_configs, judge_rights
from bridge.preflight.probes.finding import Finding, Level, failed
from bridge.settings import Settings

TOPICS = ("orders", "g.parked", "g.again", "g.attempts", "g.control")
ALL = frozenset({"read", "write", "create", "describe", "describe configs", "alter"})


def settings_of(**endpoint: Any) -> Settings:
    return Settings.model_validate({
        "group": "g", "kafka": {"bootstrap_servers": ("k:9092",)},
        "sources": {"orders": {"topics": ("orders",), "format": "json", "id": "id", "type": "type"}},
        "endpoints": {"crm": {"url": "https://crm.example.com/", **endpoint}},
    })  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "configs", "level", "said"),
    [
        ("g.control", {"cleanup.policy": "compact"}, None, ""),
        ("g.control", {"cleanup.policy": "delete"}, Level.ERROR, "cleanup.policy=compact"),
        ("g.control", {"cleanup.policy": "compact,delete"}, Level.ERROR, "is on again later"),
        ("g.parked", {"retention.ms": "-1", "cleanup.policy": "delete"}, None, ""),
        ("g.parked", {"retention.ms": "604800000"}, Level.WARNING, "retention.ms=-1"),
        ("g.parked", {"cleanup.policy": "compact"}, Level.ERROR, "which deletes events"),
        ("g.again", {"retention.ms": "604800000", "max.message.bytes": "1048588"}, Level.WARNING, "16777216"),
        ("g.again", {}, None, ""),
        ("g.attempts", {"retention.ms": "604800000", "max.message.bytes": "2097152"}, None, ""),
        ("g.attempts", {"retention.ms": "60000"}, Level.WARNING, "retention.ms=604800000"),
        ("g.attempts", {"cleanup.policy": "compact"}, Level.ERROR, "which deletes attempts"),
        ("g.attempts", {"max.message.bytes": "1048588"}, Level.WARNING, "without their bodies"),
    ],
)
def test_the_settings_of_internal_topics(
    topic: str, configs: dict[str, str], level: Level | None, said: str
) -> None:
    found = list(judge_configs(settings_of(), topic, configs))
    assert [finding.level for finding in found] == ([] if level is None else [level])
    assert all(said in f"{finding.text}; {finding.remedy}" for finding in found)


def test_a_retention_of_dead_letters_is_an_error_where_lanes_are_held() -> None:
    (found,) = judge_configs(settings_of(on_park="hold"), "g.parked", {"retention.ms": "1000"})
    assert found.level is Level.ERROR


def judge(rights: Rights | None, names: Collection[str] = TOPICS,
          ) -> list[Finding]:  # fmt: skip
    return list(judge_rights(settings_of(), rights, names))


def test_a_login_that_may_do_all_is_well() -> None:
    facts = dict.fromkeys(TOPICS, TopicFacts(ALL, 3))
    assert [found.level for found in judge(Rights(facts, frozenset(), ALL, 3))] == [Level.OK]


def test_every_missing_right_is_named_with_its_topic() -> None:
    facts = {
        "orders": TopicFacts(frozenset({"describe"}), 3),
        "g.parked": TopicFacts(frozenset({"read"}), 3),
        "g.again": TopicFacts(ALL, 3),
    }
    texts = [found.text for found in judge(Rights(facts, frozenset({"g.control"}), ALL, 3))]
    assert texts == [
        "this login lacks READ on topic orders",
        "this login lacks WRITE on topic g.parked",
        "this login lacks READ, WRITE on topic g.control",
    ]


def test_a_login_that_may_not_create_the_missing_topics_is_told() -> None:
    facts = {"orders": TopicFacts(ALL, 1)}
    texts = [
        found.text for found in judge(Rights(facts, frozenset(), frozenset({"describe"}), 1), ["orders"])
    ]
    assert texts == [
        "this login may not create topics, and g.parked, g.again, g.attempts, g.control do not exist"
    ]


def test_one_copy_on_several_brokers_is_a_warning() -> None:
    facts = {"orders": TopicFacts(None, 1)}
    (found, _) = judge(Rights(facts, frozenset(), None, 3))
    assert (found.level, found.text) == (
        Level.WARNING,
        "topic orders has one copy: it is lost with its broker",
    )


def test_a_broker_that_does_not_tell_is_no_error() -> None:
    assert [found.level for found in judge(None)] == [Level.SKIPPED]


async def test_the_bits_of_the_answer_are_the_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = (0, 0, 1, 0, [1, 2], [1], [], {})
    rows = [
        (0, "a", 1, 1, False, [partition], 1 << 3 | 1 << 8, {}),
        (0, "old", 1, 1, False, [partition], -(1 << 31), {}),
        (29, "secret", 0, 0, False, [], -(1 << 31), {}),
        (3, "absent", 0, 0, False, [], -(1 << 31), {}),
    ]
    answer = MetadataResponseV10(0, [(1, "h", 1, "r", {})], "c", 1, rows, 1 << 5, {})

    class Client:
        def __init__(self, **_: Any) -> None: ...

        async def bootstrap(self) -> None: ...

        async def close(self) -> None: ...

        def get_random_node(self) -> int:
            return 1

        async def send(self, node: int, request: Any) -> Any:
            return MetadataResponseV10.decode(answer.encode())

    monkeypatch.setattr(reading, "AIOKafkaClient", Client)
    rights = await read_rights(KafkaOptions(("k:1",)), ["a"])
    assert rights == Rights(
        {"a": TopicFacts(frozenset({"read", "describe"}), 2), "old": TopicFacts(None, 2)},
        frozenset({"secret"}), frozenset({"create"}), 1,
    )  # fmt: skip


def test_a_text_with_its_remedy_is_taken_apart() -> None:
    assert failed("brokers", "no answer; check it") == Finding(
        Level.ERROR, "brokers", "no answer", "check it"
    )
