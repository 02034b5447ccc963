"""Methods, templated URLs, headers and bodies, from Kafka to a real receiver; and in the history."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

import orjson
from standardwebhooks.webhooks import Webhook

from tests.support.bridge_process import BridgeProcess
from tests.support.command import listed, parked
from tests.support.kafka import RealKafka
from tests.support.raw_records import Raw, publish
from tests.support.receiver import Receiver
from tests.support.watch import history, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
FORM = "application/x-www-form-urlencoded"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def order(id: str, /, **payload: object) -> Raw:
    facts = {
        "id": id,
        "type": "OrderPaid",
        "entity": "e",
        "createdAt": "2026-06-29T08:15:30Z",
        "payload": payload,
    }
    return Raw(orjson.dumps(facts), b"e", (("trace", b"t-1"),))


def test_each_endpoint_gets_the_configured_request(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("rendering", partitions=1)
    publish(kafka, topic, [order("1", id="a/7 é", name='J "x" & <b>', amount="1250.5")])
    url = receiver.url
    endpoints = {
        "put": {
            "url": url("/T0K3N/loans/{{ data.id }}?n={{ data.name }}"), "method": "PUT", "secrets": [SECRET],
            "headers": {"X-Trace": "S3CR3T-{{ headers.trace }}", "X-Fixed": "F1X3D"},
            "body": {"template": '{"text": "{{ data.name }} paid {{ data.amount | money("KES") }}"}'},
        },
        "patch": {
            "url": url("/patch"), "method": "PATCH",
            "body": {"template": "<a n='{{ data.name }}'/>", "content_type": "application/xml"},
        },
        "delete": {"url": url("/things/{{ data.id }}"), "method": "DELETE", "body": "none"},
        "form": {
            "url": url("/form"),
            "body": {"template": "n={{ data.name }}&\nt={{ type }}", "content_type": FORM},
        },
        "ce": {"url": url("/ce"), "body": "cloudevents-binary"},
        "plain": {"url": url("/plain")},
    }  # fmt: skip
    bridge = bridges(quick_config(kafka, topic, endpoints, "rendering")).start()
    paths = {
        "put": "/T0K3N/loans/a%2F7%20%C3%A9?n=J%20%22x%22%20%26%20%3Cb%3E", "patch": "/patch",
        "delete": "/things/a%2F7%20%C3%A9", "form": "/form", "ce": "/ce", "plain": "/plain",
    }  # fmt: skip
    seen = {}
    for name, path in paths.items():
        receiver.wait_for(path, accepted=1)
        (seen[name],) = receiver.records(path)
    assert {name: request["method"] for name, request in seen.items()} == {
        "put": "PUT", "patch": "PATCH", "delete": "DELETE", "form": "POST", "ce": "POST", "plain": "POST",
    }  # fmt: skip
    assert seen["put"]["body"] == '{"text": "J \\"x\\" & <b> paid KES 1,250.50"}'
    assert seen["put"]["headers"]["x-trace"] == "S3CR3T-t-1"
    Webhook(SECRET).verify(seen["put"]["body"], seen["put"]["headers"])
    assert seen["patch"]["body"] == "<a n='J &quot;x&quot; &amp; &lt;b&gt;'/>"
    assert seen["patch"]["headers"]["content-type"] == "application/xml"
    assert (seen["delete"]["body"], "content-length" in seen["delete"]["headers"]) == ("", False)
    assert parse_qs(seen["form"]["body"]) == {"n": ['J "x" & <b>'], "t": ["OrderPaid"]}
    assert seen["ce"]["headers"]["ce-type"] == "OrderPaid"
    assert orjson.loads(seen["plain"]["body"])["data"]["id"] == "a/7 é"
    assert len({request["webhook_id"] for request in seen.values()}) == 1
    for name in endpoints:
        wait_settled(kafka, f"rendering.{name}", topic)
    bridge.terminate()
    rows = {row["endpoint"]: row for row in history(bridge)}
    assert {name: row["method"] for name, row in rows.items()} == {
        name: request["method"] for name, request in seen.items()
    }
    assert rows["patch"]["url"] == url("/***")
    assert rows["put"]["url"].startswith(url("/***/***/a%2F7%20%C3%A9?***="))
    assert {b"X-Trace: ***", b"X-Fixed: ***"} <= {*rows["put"]["headers"].split(b"\n")}
    assert rows["put"]["body"] == seen["put"]["body"].encode()
    kept = repr(list(rows.values())) + bridge.log.read_text()
    assert not any(secret in kept for secret in ("T0K3N", "S3CR3T", "F1X3D", SECRET))


def test_an_event_that_a_template_cannot_render_is_parked_with_the_template_line(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("unrendered", partitions=1)
    publish(
        kafka, topic,
        [order("1", id=".."), order("2", id="7"), order("3", id="8", name="N4M3-OF-A-CUSTOMER"),
         order("4", id="9", tags=[",N4M3", ":{", ":"])],
    )  # fmt: skip
    template = """{"id": {{ data.id }},
 "x": "{{ data.nmae if data.name is defined else "" }}", "t": "{{ data.tags | default("") }}"}"""
    body = {"template": template}
    endpoints = {"crm": {"url": receiver.url("/loans/{{ data.id }}"), "body": body}}
    bridge = bridges(quick_config(kafka, topic, endpoints, "unrendered")).start()
    receiver.wait_for("/loans/7", accepted=1)
    wait_settled(kafka, "unrendered.crm", topic)
    letters = wait_until(lambda: len(found := listed(bridge)) == 3 and found, "three parked events")
    assert [letter["cause"] for letter in letters] == [
        "the body's template, line 1: {{ data.id }}: a text has no quotes around it; put it in quotes, or add"
        " | json",
        'the body\'s template, line 2: there is no "nmae"; did you mean "name"?',
        "the body's template, line 2: {{ data.tags | default }}: a list is not text; select a part of it, or"
        " use | json",
    ]
    assert "template" in letters[0]["remedy"]
    assert "N4M3" not in bridge.log.read_text() + repr(letters)
    shown = parked(bridge, "show", letters[1]["address"])
    assert 'none: the body\'s template, line 2: there is no "nmae"' in shown
