"""What ``batch`` and ``compress`` refuse, by place, cause and remedy."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.errors import ConfigError, RenderError
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from bridge.http.tls import SystemTls
from bridge.settings import load
from bridge.settings.changes import compare
from bridge.wiring.batches import build_batch_form
from bridge.wiring.endpoints import build_transport


def written(tmp_path: Path, endpoint: dict[str, Any]) -> Path:
    """Write a configuration with this endpoint."""
    file = tmp_path / "bridge.yaml"
    settings = {
        "group": "g",
        "kafka": {"bootstrap_servers": ["kafka.test:9092"]},
        "sources": {"orders": {"format": "json", "topics": ["orders"], "id": "id", "type": "type"}},
        "endpoints": {"crm": {"url": "https://crm.test/hooks", **endpoint}},
        "state_dir": str(tmp_path),
    }
    file.write_text(yaml.safe_dump(settings))
    return file


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ({"preset": "slack", "batch": {}}, "endpoints.crm.batch: is not possible with preset slack"),
        ({"preset": "teams", "batch": {}}, "is not possible with preset teams"),
        ({"preset": "discord", "batch": {}}, "is not possible with preset discord"),
        ({"preset": "fineract-hook", "batch": {}}, "is not possible with preset fineract-hook"),
        ({"preset": "zapier", "batch": {}}, "is not possible with preset zapier"),
        ({"body": "none", "batch": {}}, "has no events"),
        ({"body": "cloudevents-binary", "batch": {}}, "has headers for one event"),
        ({"body": {"template": "<a/>", "content_type": "text/xml"}, "batch": {}}, "body.content_type"),
        ({"url": "https://crm.test/{{ entity }}", "batch": {}}, "endpoints.crm.url: changes with the event"),
        (
            {"headers": {"x-a": "{{ type }}"}, "batch": {}},
            "crm.headers.x-a: changes with the event",
        ),
        ({"headers": {"Content-Encoding": "br"}, "compress": "gzip"}, "is set by compress"),
        ({"batch": {"as": "xml"}}, "use one of array, object, ndjson"),
        ({"batch": {"max_event": 3}}, 'did you mean "max_events"?'),
        ({"batch": {"max_events": 0}}, "endpoints.crm.batch.max_events"),
        ({"compress": "br"}, "endpoints.crm.compress"),
        ({"compress_above_bytes": 9}, "has no effect without compress; add compress: gzip or zstd"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, endpoint: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, endpoint), {})
    (text,) = refused.value.problems
    assert problem in text


@pytest.mark.parametrize(
    "endpoint",
    [
        {"batch": {}},
        {"batch": {"as": "object"}, "body": "cloudevents"},
        {"batch": {}, "body": {"template": '{"a": 1}'}},
        {"batch": {}, "body": {"template": '{"a": 1}', "content_type": "application/vnd.crm+json"}},
        {"batch": {}, "compress": "zstd", "compress_above_bytes": 0},
    ],
)
def test_what_can_work_is_accepted(tmp_path: Path, endpoint: dict[str, Any]) -> None:
    assert load(written(tmp_path, endpoint), {}).endpoints["crm"].batch is not None


def test_only_raw_bodies_are_parsed_because_they_may_be_text_of_a_producer(tmp_path: Path) -> None:
    text = b'{"a":1},{"b":2}'
    for body, is_parsed in (("raw", True), ("standard", False)):
        endpoint = load(written(tmp_path, {"batch": {}, "body": body}), {}).endpoints["crm"]
        assert endpoint.batch is not None
        form = build_batch_form(endpoint.batch, endpoint)
        with pytest.raises(RenderError) if is_parsed else nullcontext():
            form.item("evt_0", text)


def test_a_reload_takes_over_the_limits_and_refuses_to_turn_batches_on_or_off(tmp_path: Path) -> None:
    """The queue of an endpoint that has waiting events is one for batches, or one for single events."""
    without = load(written(tmp_path, {}), {})
    small = load(written(tmp_path, {"batch": {"max_events": 5}}), {})
    large = load(written(tmp_path, {"batch": {"max_events": 50}}), {})
    assert compare(without, small).refused == ("endpoints.crm.batch",)
    assert compare(small, without).refused == ("endpoints.crm.batch",)
    change = compare(small, large)
    assert not change.refused
    assert change.delivery == {"crm"}


def test_an_answer_is_kept_as_far_as_it_may_name_all_events(tmp_path: Path) -> None:
    """A webhook id has up to 69 characters; an answer that is cut off settles nothing."""
    for events, least in ((100, 65_536), (10_000, 10_000 * len('"",') + 10_000 * 69)):
        endpoint = load(written(tmp_path, {"batch": {"max_events": events}}), {}).endpoints["crm"]
        transport = build_transport("crm", endpoint, EgressPolicy(()), SystemTls())
        assert isinstance(transport, LeanTransport)
        assert transport._limits.max_body_bytes >= least
