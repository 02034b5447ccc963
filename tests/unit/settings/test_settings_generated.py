"""The schema and the reference match the models; the example is valid for both."""

import json

import jsonschema
import pytest
import yaml

from bridge.settings import check
from tests.support.settings_example import SECRET, VALID
from tools import config_schema

EXAMPLE = config_schema.ROOT / "config" / "bridge.yaml"
ENV = {"CRM_TOKEN": "t", "CRM_SECRET": SECRET}


def errors(document: object) -> list[str]:
    validator = jsonschema.Draft202012Validator(config_schema.json_schema())
    return [error.message for error in validator.iter_errors(document)]


def test_the_json_schema_is_valid():
    jsonschema.Draft202012Validator.check_schema(config_schema.json_schema())


def test_the_example_passes_check_and_schema_and_names_the_schema():
    text = EXAMPLE.read_text(encoding="utf-8")
    assert check(EXAMPLE, ENV) == []
    assert errors(yaml.safe_load(text)) == []
    first = text.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (EXAMPLE.parent / first.partition("=")[2]).resolve() == config_schema.SCHEMA


def test_the_only_mistakes_of_the_example_are_its_unset_variables():
    assert len(check(EXAMPLE, {})) == len(ENV)


def test_the_commented_lines_of_the_example_are_valid_too(tmp_path):
    """Without this test, a commented line could be wrong for years."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    body = lines[lines.index("group: hookferry") :]
    keys = ("  #", "    #", "# d", "# h", "# c", "# s")
    text = "\n".join(line.replace("# ", "", 1) if line.startswith(keys) else line for line in body)
    document = yaml.safe_load(text)
    assert errors(document) == []
    assert document["state_dir"] == "state"
    assert set(document["sources"]) == {"fineract", "orders", "things"}
    assert document["endpoints"]["crm"]["retry"]["max_attempts"] == 20


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({"admin": {"port": "${env:PORT:-8080}"}}, True),
        ({"admin": {"port": "http"}}, False),
        ({"admin": {"prt": 1}}, False),
        ({"log": {"level": "${env:LEVEL}"}}, True),
        ({"log": {"level": "loud"}}, False),
        ({"bogus": 1}, False),
        ({"endpoints": {"CRM": {"url": "https://a.example/"}}}, False),
        ({"endpoints": {"crm": {}}}, False),
        ({"sources": {"a": {"format": "json", "topics": ["t"]}}}, False),
    ],
)
def test_the_schema_accepts_only_valid_values(change, valid):
    assert (errors(yaml.safe_load(VALID) | change) == []) is valid


def test_every_key_has_a_description():
    document = config_schema.json_schema()

    def missing(node: dict) -> list[str]:
        """List keys without a description; a group of keys may have it in its own definition."""
        keys = node.get("properties", {}).items()
        groups = {f"#/$defs/{name}" for name, group in document["$defs"].items() if "description" in group}
        return [name for name, key in keys if "description" not in key and key.get("$ref") not in groups]

    assert not missing(document)
    assert not [name for node in document["$defs"].values() for name in missing(node)]
    assert json.dumps(document).count('"title"') == 1
