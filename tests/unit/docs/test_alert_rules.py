"""The alerting rules name metrics, labels and values that exist, and the page explains each rule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.telemetry.metrics import TABLE

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "how-to" / "alerts.md").read_text()
RULES: list[dict[str, Any]] = yaml.safe_load((ROOT / "helm/hookferry/files/alerts.yaml").read_text())[
    "groups"
][0]["rules"]
SPECS = {spec.name: spec for spec in TABLE}
QUERIES = [rule["expr"] for rule in RULES] + re.findall(r"`([^`]*hookferry_[^`]*)`", PAGE)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_names_metrics_labels_and_values_that_exist(query: str) -> None:
    for name, matchers in re.findall(r"((?:hookferry|process)_[a-z_]+)(?:\{([^}]*)\})?", query):
        spec = SPECS.get(name) or SPECS.get(name.removesuffix("_bucket"))
        assert spec is not None, name
        for label, value in re.findall(r'(\w+)="([^"]*)"', matchers):
            assert value in map(str, spec.values[label]), (name, label, value)
        if name.endswith("_bucket"):
            assert spec.kind == "histogram"


def test_the_page_explains_every_rule_and_no_other() -> None:
    named = re.findall(r"^\| `(Hookferry\w+)`", PAGE, flags=re.M)
    assert named == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_has_a_severity_a_summary_and_a_remedy(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "remedy"}
    assert rule["expr"].count("(") == rule["expr"].count(")")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_keeps_the_labels_that_its_text_shows(rule: dict[str, Any]) -> None:
    shown = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", rule["expr"]))))
    assert shown <= (grouped or {"instance", "endpoint"})
