"""Keys in a running bridge: both kinds sign, an overlap ends without a restart, public keys are served."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from bridge.core.instant import instant_text
from bridge.core.signing.jwks import public_text
from bridge.core.signing.key_text import standard_key
from bridge.verifier import VerificationError, verify
from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import ask, quick_config, wait_until

OLD = "whsec_" + "A" * 32
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
OVERLAP_S = 12


def accepts(key: str, request: dict[str, Any]) -> bool:
    headers = request["headers"]
    try:
        verify([key], headers, request["body"].encode(), now_s=float(headers["webhook-timestamp"]))
    except VerificationError:
        return False
    return True


def test_an_overlap_ends_while_the_bridge_runs(
    kafka: RealKafka, receiver: Receiver, bridges: Callable[..., BridgeProcess]
) -> None:
    topic = kafka.fresh_topic("keys", partitions=1)
    until = instant_text(time.time() + OVERLAP_S)
    keys = ["${env:CRM_PAIR}", {"secret": "${env:CRM_SECRET}", "until": until}]
    endpoints = {"crm": {"url": receiver.url("/crm"), "signing": {"keys": keys}}}
    config = quick_config(kafka, topic, endpoints, "keys")
    bridge = bridges(config, environment={"CRM_PAIR": PAIR, "CRM_SECRET": OLD}).start()
    public = standard_key(PAIR).public
    assert public is not None
    whpk = public_text(public)
    sent = 0

    def next_request() -> dict[str, Any]:
        nonlocal sent
        sent += 1
        produce(kafka.bootstrap, topic, outbox_events(1, seed=sent))
        receiver.wait_for("/crm", requests=sent)
        return receiver.records("/crm")[-1]

    ended = wait_until(
        lambda: (one := next_request()) and not accepts(OLD, one) and one, "the old key ends", 90
    )
    assert accepts(whpk, ended)
    requests = receiver.records("/crm")
    assert all(accepts(whpk, one) for one in requests)
    assert len({one["headers"]["webhook-id"] for one in requests}) == sent
    for one in requests:
        assert len(one["headers"]["webhook-signature"].split()) == 1 + accepts(OLD, one)
    status, text = ask(bridge, "/.well-known/jwks.json")
    assert status == 200
    assert [entry["kid"] for entry in json.loads(text)["keys"]] == [standard_key(PAIR).name]
    assert bridge.terminate() == 0
    assert PAIR[5:40] not in bridge.log.read_text()
