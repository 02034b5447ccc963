"""The chart: values and schema are checked everywhere, renderings only where helm is installed."""

from __future__ import annotations

import base64
import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import bridge
from bridge import settings
from tests.support.helm import HELM, needs_helm

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "hookferry"
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))


def read(path: Path) -> dict[str, Any]:
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge values as helm does: maps by key; everything else is replaced."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        both_maps = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both_maps else value
    return result


@pytest.fixture(scope="module")
def defaults() -> dict[str, Any]:
    return read(CHART / "values.yaml")


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    document = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(document)
    return jsonschema.Draft7Validator(document)


def test_the_default_values_fit_the_schema(
    defaults: dict[str, Any], schema: jsonschema.Draft7Validator
) -> None:
    assert [error.message for error in schema.iter_errors(defaults)] == []


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.name)
def test_the_example_values_fit_the_schema(
    values: Path, defaults: dict[str, Any], schema: jsonschema.Draft7Validator
) -> None:
    assert [error.message for error in schema.iter_errors(merged(defaults, read(values)))] == []


@pytest.mark.parametrize(
    "mistake",
    [
        {"replicas": 3},
        {"image": {"tga": "1"}},
        {"image": {"digest": "latest"}},
        {"probes": {"liveness": {"periodSeconds": 0}}},
        {"config": {"admin": {"port": 70000}}},
        {"config": {"drain_timeout_s": 0}},
        {"env": [{"name": "A", "value": "b", "valueFrom": {}}]},
        {"persistence": {"accessModes": ["ReadWriteMany"]}},
        {"podDisruptionBudget": {"maxUnavailable": "half"}},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_a_mistake(
    mistake: dict[str, Any], defaults: dict[str, Any], schema: jsonschema.Draft7Validator
) -> None:
    assert list(schema.iter_errors(merged(defaults, mistake)))


def test_the_schema_and_the_values_have_the_same_options(
    defaults: dict[str, Any], schema: jsonschema.Draft7Validator
) -> None:
    """An option in only one of the files is unused, or refused. ``global`` belongs to Helm."""
    assert set(schema.schema["properties"]) - {"global"} == set(defaults)


def test_the_full_example_uses_every_option(defaults: dict[str, Any]) -> None:
    """No test would render an omitted option, except those with their own suites."""
    own_suites = {
        "nameOverride",
        "fullnameOverride",
        "stateVolume",
        "probes",
        "podSecurityContext",
        "securityContext",
    }
    assert set(defaults) - set(read(CHART / "ci" / "full-values.yaml")) == own_suites


def test_every_option_has_a_comment() -> None:
    """Each key that needs an explanation has a ``# --`` line above it."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    keys = [(at, match) for at, line in enumerate(lines) if (match := re.match(r"( *)[a-z]\w*:(.*)", line))]
    bare = []
    explained: int | None = None  # the indentation of the comment that covers what is nested below
    for at, match in keys:
        indent, rest = len(match[1]), match[2].strip()
        if explained is not None and indent > explained:
            continue
        above = at - 1
        while above >= 0 and lines[above].lstrip().startswith("#") and "# -- " not in lines[above]:
            above -= 1
        commented = above >= 0 and "# -- " in lines[above]
        # A map such as `config` has a comment for the whole and for each key.
        explained = indent if commented and match[0].strip() != "config:" else None
        if rest and not commented:
            bare.append(match[0])
    assert bare == []


def test_the_chart_installs_the_version_of_this_tree() -> None:
    assert read(CHART / "Chart.yaml")["appVersion"] == bridge.__version__


def test_a_template_holds_one_object() -> None:
    kinds = {
        path.name: len(re.findall(r"^kind:", path.read_text(), re.MULTILINE))
        for path in (CHART / "templates").glob("*.yaml")
    }
    assert kinds
    assert set(kinds.values()) == {1}


def load(text: str, folder: Path) -> settings.Settings:
    """Load a configuration of the examples; create the files that a pod mounts under ``folder``."""
    mounted = ["run/crm/token", "run/kafka-ca/ca.crt", "schemas/fineract/MessageV1.avsc"]
    for file in (*mounted, "run/admin/tls.crt", "run/admin/tls.key"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("something")
    config = folder / "bridge.yaml"
    config.write_text(re.sub(r"(?<![\w/])/(run|schemas)/", rf"{folder}/\1/", text))
    environ = dict.fromkeys(re.findall(r"\$\{env:(\w+)\}", text), "a-token-of-some-length")
    environ["CRM_SECRET"] = "whsec_" + base64.b64encode(bytes(32)).decode()
    return settings.load(config, environ)


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.name)
def test_the_program_accepts_the_example_configuration(
    values: Path, defaults: dict[str, Any], tmp_path: Path
) -> None:
    text = yaml.safe_dump(merged(defaults, read(values))["config"])
    assert set(load(text, tmp_path).endpoints) == set(read(values)["config"]["endpoints"])


@needs_helm
@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.name)
def test_the_program_accepts_what_helm_renders(values: Path, tmp_path: Path) -> None:
    """The ConfigMap of the bridge, and that of the console if the values enable it."""
    command = [HELM, "template", "ferry", str(CHART), "--namespace", "hooks", "--values", str(values)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    texts = [
        document["data"]["bridge.yaml"]
        for document in yaml.safe_load_all(run.stdout)
        if document["kind"] == "ConfigMap"
    ]
    assert len(texts) == 1 + read(values).get("console", {}).get("enabled", False)
    for text in texts:
        assert set(load(text, tmp_path).endpoints) == set(read(values)["config"]["endpoints"])


@needs_helm
def test_the_chart_passes_its_checks() -> None:
    """Run tests/chart/check.sh: lint, renderings, suites, the schemas of Kubernetes."""
    run = subprocess.run(
        [ROOT / "tests" / "chart" / "check.sh"], capture_output=True, text=True, timeout=240, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "SKIPPED: chart (" not in run.stdout
