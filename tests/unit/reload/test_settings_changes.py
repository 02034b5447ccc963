"""What a running process takes over, and what is refused by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.settings import Settings
from bridge.settings.changes import compare
from bridge.settings.fingerprint import config_hash, file_digests

BASE: dict[str, Any] = {
    "kafka": {"bootstrap_servers": ["k:9092"]},
    "sources": {"orders": {"format": "json", "topics": ["t"], "id": "id", "type": "type"}},
    "endpoints": {"crm": {"url": "https://crm.test/hooks", "secrets": ["whsec_" + "A" * 32]}},
}


def settings(**top: Any) -> Settings:
    return Settings.model_validate(BASE | top)


def endpoint(**values: Any) -> dict[str, Any]:
    return {"crm": BASE["endpoints"]["crm"] | values}


@pytest.mark.parametrize(
    ("top", "name"),
    [
        ({"group": "other"}, "group"),
        ({"kafka": {"bootstrap_servers": ["k2:9092"]}}, "kafka.bootstrap_servers"),
        ({"state_dir": "/elsewhere"}, "state_dir"),
        ({"memory_budget": "50%"}, "memory_budget"),
        ({"admin": {"port": 9999}}, "admin.port"),
        ({"drain_timeout_s": 21}, "drain_timeout_s"),
        ({"dedupe": {"window_s": 60}}, "dedupe.window_s"),
        ({"log": {"format": "json"}}, "log.format"),
        ({"history": {"retention_s": 99}}, "history.retention_s"),
        ({"endpoints": endpoint(on_park="hold")}, "endpoints.crm.on_park"),
        ({"sources": {"orders": BASE["sources"]["orders"] | {"id": "key"}}}, "sources.orders.id"),
        ({"sources": {"others": BASE["sources"]["orders"]}}, "sources.orders"),
        ({"sources": {"orders": BASE["sources"]["orders"] | {"topics": ["u"]}}}, "sources.orders.topics"),
        (
            {"sources": {"orders": BASE["sources"]["orders"] | {"topics": ["t", "u*"]}}},
            "sources.orders.topics",
        ),
        (
            {"sources": {"orders": {"format": "cloudevents", "topics": ["t"]}}},
            "sources.orders",
        ),
    ],
)
def test_what_needs_a_restart_is_refused_by_name_also_beside_what_does_not(
    top: dict[str, Any], name: str
) -> None:
    assert name in compare(settings(), settings(**top)).refused
    mixed = top | {"log": top.get("log", {}) | {"level": "debug"}}
    assert name in compare(settings(), settings(**mixed)).refused


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({"url": "https://new.test/hooks"}, {"delivery", "new_gate"}),
        ({"url": "https://crm.test/elsewhere"}, {"delivery", "same_receiver"}),
        ({"headers": {"x": "y"}}, {"delivery", "same_receiver"}),
        ({"secrets": ["whsec_" + "B" * 32]}, {"delivery", "same_receiver"}),
        ({"rate": ["4/1s"]}, {"delivery", "new_gate", "same_receiver"}),
        ({"events": ["Paid"]}, {"routing"}),
        ({"when": "data.x > 1"}, {"routing"}),
        ({"preset": "slack"}, {"delivery", "new_gate", "same_receiver", "routing"}),
        ({"window": 7}, {"cursors"}),
        ({"start": "earliest"}, {"cursors"}),
    ],
)
def test_a_change_of_an_endpoint_reaches_what_depends_on_it(values: dict[str, Any], kinds: set[str]) -> None:
    change = compare(settings(), settings(endpoints=endpoint(**values)))
    found = {kind for kind in ("delivery", "new_gate", "same_receiver", "routing", "cursors")
             if getattr(change, kind)}  # fmt: skip
    assert (found, change.refused, change.is_empty) == (kinds, (), False)


def test_a_value_that_is_written_out_differs_from_a_default_of_a_preset() -> None:
    """``rate: []`` is no limit, and no ``rate`` is the limit of the preset."""
    slack = {"url": "https://hooks.slack.com/services/T/B/x", "preset": "slack"}
    change = compare(settings(endpoints={"crm": slack}), settings(endpoints={"crm": slack | {"rate": []}}))
    assert change.new_gate == {"crm"}


@pytest.mark.parametrize(
    ("before", "after", "is_taken_over"),
    [
        (["t"], ["t", "u"], True),
        (["t", "a*"], ["b*", "a*", "t"], True),
        (["t", "u"], ["t"], False),
        (["a*"], ["a*", "!ab"], False),
        (["t"], ["t", "a*"], False),
    ],
)
def test_a_source_may_get_more_topics(before: list[str], after: list[str], is_taken_over: bool) -> None:
    def with_topics(topics: list[str]) -> Settings:
        return settings(sources={"orders": BASE["sources"]["orders"] | {"topics": topics}})

    change = compare(with_topics(before), with_topics(after))
    assert (change.topics, not change.refused, change.is_empty) == (is_taken_over, is_taken_over, False)


def test_endpoints_come_and_go_by_their_names() -> None:
    change = compare(settings(), settings(endpoints={"erp": {"url": "https://erp.test/"}}))
    assert (change.added, change.removed, change.changed) == ({"erp"}, {"crm"}, frozenset())


@pytest.mark.parametrize(
    "top",
    [
        {"egress": {"ports": [443]}},
        {"history": {"bodies": "none"}},
        {"log": {"attempts": "failures"}},
    ],
)
def test_what_all_requests_depend_on_changes_every_endpoint(top: dict[str, Any]) -> None:
    change = compare(settings(), settings(**top))
    assert (change.delivery, change.new_gate, change.refused) == ({"crm"}, frozenset(), ())


def test_the_share_of_traces_is_taken_over_and_another_collector_needs_a_restart() -> None:
    def traced(**values: Any) -> Settings:
        return settings(tracing={"endpoint": "http://127.0.0.1:4318/v1/traces"} | values)

    change = compare(traced(), traced(sample_ratio=0.1))
    assert (change.delivery, change.others, change.refused) == ({"crm"}, ("tracing.sample_ratio",), ())
    assert compare(traced(), traced(endpoint="http://127.0.0.1:9/")).refused == ("tracing.endpoint",)
    assert compare(traced(), traced(service_name="x", sample_ratio=0)).refused == ("tracing.service_name",)
    assert compare(settings(), traced()).refused == ("tracing",)
    assert compare(traced(), settings()).refused == ("tracing",)


def test_nothing_differs_between_two_readings_of_one_file() -> None:
    assert compare(settings(), settings()).is_empty


def test_the_content_of_a_template_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_text('{"a": 1}')
    read = settings(endpoints=endpoint(body={"template_file": str(file)}))
    before, before_hash = file_digests(read), config_hash(read)
    file.write_text('{"a": 2}')
    assert compare(read, read, before, file_digests(read)).delivery == {"crm"}
    assert config_hash(read) != before_hash


def test_the_hash_shows_no_secret_and_is_the_same_in_all_pods_of_a_group() -> None:
    other_secret = settings(endpoints=endpoint(secrets=["whsec_" + "B" * 32]))
    other_pod = settings(state_dir="/pod-1", kafka=BASE["kafka"] | {"group_instance_id": "pod-1"})
    other_url = settings(endpoints=endpoint(url="https://new.test/hooks"))
    hashes = {config_hash(each) for each in (settings(), other_secret, other_pod)}
    assert len(hashes) == 1
    assert config_hash(other_url) not in hashes
