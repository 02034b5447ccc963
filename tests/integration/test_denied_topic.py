"""A topic that the login may not read delays no other topic, and is read once the right is granted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import orjson
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from bridge.telemetry import events
from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.receiver import Receiver
from tests.support.record_batches import RawBatch, RawRecord, produce_batches
from tests.support.watch import logged, quick_config, wait_until

Bridges = Callable[..., BridgeProcess]


@pytest.fixture
def guarded_broker(kafka: RealKafka) -> Iterator[RealKafka]:  # requests `kafka` for its skip and its marker
    """Return a broker with an authorizer that allows everything for which no ACL exists."""
    authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    broker = RealKafka(
        config={"authorizer.class.name": authorizer, "allow.everyone.if.no.acl.found": "true"}
    ).start()
    yield broker
    broker.close()


def deny_reading(kafka: RealKafka, topic: str) -> AclBinding:
    """Leave the login of the tests only the right to describe a topic; return the ACL that does it."""
    acl = AclBinding(
        ResourceType.TOPIC,
        topic,
        ResourcePatternType.LITERAL,
        "User:ANONYMOUS",
        "*",
        AclOperation.DESCRIBE,
        AclPermissionType.ALLOW,
    )
    admin = kafka.admin()  # its futures end when it is collected
    admin.create_acls([acl])[acl].result(15)
    return acl


def allow_again(kafka: RealKafka, acl: AclBinding) -> None:
    """Remove an ACL."""
    pattern = AclBindingFilter(
        acl.restype,
        acl.name,
        acl.resource_pattern_type,
        acl.principal,
        "*",
        acl.operation,
        acl.permission_type,
    )
    admin = kafka.admin()
    admin.delete_acls([pattern])[pattern].result(15)


def publish(kafka: RealKafka, topic: str, numbers: range) -> None:
    for number in numbers:
        value = {"id": f"{topic}-{number}", "type": "OrderPlaced", "entity": "e", "payload": {"seq": number}}
        produce_batches(kafka.bootstrap, topic, RawBatch(0, [RawRecord(orjson.dumps(value))]).pack())


def test_a_topic_that_the_login_may_not_read_delays_neither_records_nor_commits_of_another(
    guarded_broker: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    kafka = guarded_broker
    denied, open_ = (kafka.fresh_topic(name, partitions=1, retention_ms=-1) for name in ("denied", "open"))
    publish(kafka, denied, range(3))
    publish(kafka, open_, range(3))
    acl = deny_reading(kafka, denied)
    group = "guarded"
    config = quick_config(kafka, denied, {"shop": {"url": receiver.url("/shop")}}, group)
    (source,) = config["sources"].values()
    config["sources"] = {"orders": {**source, "topics": [denied, open_]}}
    bridge = bridges(config).start()

    def got() -> list[str]:
        return sorted({request["headers"]["webhook-id"] for request in receiver.records("/shop")})

    def committed(topic: str) -> int | None:
        place = kafka.consumer_groups(f"{group}.shop").get((topic, 0))
        return place and place[0]

    wait_until(lambda: len(got()) == 3, "the other topic is delivered")
    wait_until(lambda: committed(open_) == 3, "its offset is committed")
    (line, *_) = logged(bridge, events.FETCH_FAILED)
    assert line["partition"] == f"{denied}-0"
    assert "grant this login the right to read" in line["remedy"]
    assert not logged(bridge, events.SOURCE_FAILED), "no poll failed because of it"
    allow_again(kafka, acl)
    wait_until(lambda: len(got()) == 6, "the topic is read once the right is granted")
    wait_until(lambda: committed(denied) == 3, "its offset is committed as well")
