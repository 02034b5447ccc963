"""The verdict of ``hookferry send`` is the one of the bridge, with the endpoint's settings for answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from bridge.cli import cli
from tests.support.batch_sink import BatchSink


def sent(folder: Path, sink: BatchSink, endpoint: dict[str, Any]) -> dict[str, Any]:
    """Send a sample to an endpoint with these settings, and return what the command shows."""
    file = folder / "bridge.yaml"
    settings = {
        "kafka": {"bootstrap_servers": ["localhost:9"]},
        "sources": {"shop": {"format": "json", "topics": ["o"], "id": "id", "type": "type"}},
        "egress": {"allow": ["127.0.0.0/8"]},
        "endpoints": {"crm": {"url": sink.url, **endpoint}},
    }
    file.write_text(yaml.safe_dump(settings))
    result = CliRunner().invoke(cli, ["send", "-c", str(file), "-e", "crm", "-s", "order.paid", "--json"])
    shown: dict[str, Any] = json.loads(result.stdout)
    return shown


def test_an_event_of_a_batch_that_the_answer_names_is_tried_again(tmp_path: Path) -> None:
    with BatchSink(fails=lambda event: True) as sink:
        shown = sent(tmp_path, sink, {"batch": {}})
    assert (shown["verdict"], shown["reason"]) == ("again", "the receiver named this event as failed")


@pytest.mark.parametrize(("retry_on", "verdict"), [([], "park"), ([422], "again")])
def test_a_status_that_is_configured_to_be_retried_is_retried(
    tmp_path: Path, retry_on: list[int], verdict: str
) -> None:
    with BatchSink(refuses=lambda event: True) as sink:
        shown = sent(tmp_path, sink, {"retry": {"retry_on": retry_on}, "batch": {}})
    assert shown["verdict"] == verdict
