"""Orders, an endpoint that can refuse them, and the requests about them."""

from __future__ import annotations

from typing import Any

import orjson

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.raw_records import Raw
from tests.support.receiver import Receiver
from tests.support.watch import SOON, quick_config, wait_until

TOKEN = "s3cr3t-bearer-token"


def order(entity: str, seq: int, partition: int = 0, **more: Any) -> Raw:
    event = {"id": f"{entity}-{seq}", "type": "OrderPlaced", "entity": entity,
             "payload": {"entity": entity, "seq": seq, **more}}  # fmt: skip
    return Raw(orjson.dumps(event), entity.encode(), (("trace", b"\x00\xff"),), partition)


def topic_and_config(
    kafka: RealKafka, receiver: Receiver, group: str, partitions: int = 2, **endpoint: Any
) -> tuple[str, dict[str, Any]]:
    """Return a topic, and the configuration of a bridge whose endpoint requires a token."""
    topic = kafka.fresh_topic(group, partitions=partitions)
    crm = {
        "url": receiver.url("/shop"), "retry": SOON,
        "headers": {"Authorization": f"Bearer {TOKEN}"}, "park_limit": "off", **endpoint,
    }  # fmt: skip
    return topic, quick_config(kafka, topic, {"shop": crm}, group)


def arrivals(receiver: Receiver, entity: str, path: str = "/shop") -> list[tuple[int, int, str]]:
    """Return number, status and webhook-id of an entity's requests, in the order of arrival."""
    return [
        (request["seq"], request["status"], request["webhook_id"])
        for request in receiver.records(path)
        if request["entity"] == entity
    ]


def wait_parked(bridge: BridgeProcess, count: int) -> None:
    wait_until(lambda: bridge.metric("hookferry_parked_total") >= count, f"{count} parked", 40)
