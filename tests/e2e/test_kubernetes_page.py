"""docs/how-to/kubernetes.md: its values can be installed, alone or merged over its first example."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bridge import settings
from bridge.app import stop
from bridge.settings.reading import shape
from tests.support.helm import HELM, needs_helm

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "hookferry"
PAGE = (ROOT / "docs" / "how-to" / "kubernetes.md").read_text()
EXAMPLES: list[dict[str, Any]] = [
    yaml.safe_load(textwrap.dedent(block)) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
]
ENVIRON = {"CRM_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}


def over(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Merge values as Helm merges two files: maps by key; everything else is replaced."""
    result = copy.deepcopy(base)
    for key, value in more.items():
        maps = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = over(result[key], value) if maps else value
    return result


def values_of(example: dict[str, Any]) -> dict[str, Any]:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    return over(over(defaults, EXAMPLES[0]), example)


def names(example: dict[str, Any]) -> str:
    return "-".join(example)


def test_the_page_has_its_examples() -> None:
    assert {key for example in EXAMPLES for key in example} >= {
        *("image", "config", "env", "extraVolumes", "extraVolumeMounts", "persistence", "networkPolicy")
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_the_values_of_an_example_fit_the_schema(example: dict[str, Any]) -> None:
    schema = jsonschema.Draft7Validator(json.loads((CHART / "values.schema.json").read_text()))
    assert [error.message for error in schema.iter_errors(values_of(example))] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_the_program_accepts_the_configuration_of_an_example(example: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "schemas" / "fineract"
    folder.mkdir(parents=True)
    (folder / "a.avsc").write_text('{"type": "record", "name": "a.A", "fields": []}')
    file = tmp_path / "bridge.yaml"
    text = yaml.safe_dump(values_of(example)["config"])
    file.write_text(text.replace(": /schemas/", f": {tmp_path}/schemas/"))
    assert settings.check(file, ENVIRON) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_an_example_mounts_what_its_configuration_reads(example: dict[str, Any]) -> None:
    """A folder of schemas without a volume would stop the pod."""
    values = values_of(example)
    mounted = {mount["mountPath"] for mount in values["extraVolumeMounts"]}
    read = {source["schemas"] for source in values["config"]["sources"].values() if "schemas" in source}
    assert read <= mounted
    volumes = {volume["name"] for volume in values["extraVolumes"]}
    assert {mount["name"] for mount in values["extraVolumeMounts"]} <= volumes


def test_the_page_contains_the_times_of_the_program() -> None:
    session = re.search(r"session_timeout_s` \((\d+) s by default\)", PAGE)
    assert session is not None
    assert float(session[1]) == shape.default(("kafka", "session_timeout_s"))
    extra = re.search(r"the drain, rounded up, and (\d+) s", PAGE)
    assert extra is not None
    assert int(extra[1]) > stop.OVERTIME_S


@needs_helm
@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_helm_renders_an_example(example: dict[str, Any], tmp_path: Path) -> None:
    files = []
    for at, values in enumerate((EXAMPLES[0], example)):
        file = tmp_path / f"{at}.yaml"
        file.write_text(yaml.safe_dump(values))
        files += ["--values", str(file)]
    run = subprocess.run(
        [HELM, "template", "hookferry", str(CHART), "--namespace", "hooks", *files],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    kinds = {document["kind"] for document in yaml.safe_load_all(run.stdout)}
    assert ("StatefulSet" in kinds) == ("persistence" in example)
    assert ("NetworkPolicy" in kinds) == ("networkPolicy" in example)
