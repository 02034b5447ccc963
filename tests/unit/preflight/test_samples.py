"""Sample events have the names and fields of Fineract; files are read strictly."""
# ruff: noqa: E501 - a table of templates is easier to compare with each on its own line

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from bridge.errors import ConfigError
from bridge.preflight.samples import sample
from bridge.preflight.samples.payloads import PAYLOADS, schema_of
from bridge.rendering import standard_body
from bridge.schemas.folder import read_folder
from bridge.settings.models.fineract_types import FINERACT_TYPES
from tests.support.records import shared_fineract, shared_json


def test_every_payload_belongs_to_a_fineract_type() -> None:
    assert PAYLOADS.keys() <= set(FINERACT_TYPES)


def test_every_type_has_the_schema_that_fineract_uses_for_it() -> None:
    types = shared_json("event-types.json")
    assert [fact["type"] for fact in types if schema_of(fact["type"]) != fact["dataschema"]] == []


def test_the_fields_of_the_samples_are_fields_of_the_schemas() -> None:
    schemas = read_folder(shared_fineract() / "schemas" / "develop-2026-06-29" / "avro")
    for type_, payload in PAYLOADS.items():
        whole = sample(type_, schemas=schemas).payload()
        assert _surplus(payload, whole) == [], type_
        assert _nulls(whole) == [], type_
        assert whole["id"] == payload["id"], "realistic values replace generated ones"


def _surplus(some: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    surplus = [name for name in some if name not in whole]
    for name, value in some.items():
        if isinstance(value, dict) and name in whole:
            surplus += _surplus(value, whole[name])
    return surplus


def _nulls(value: Any, depth: int = 0) -> list[str]:
    if not isinstance(value, dict) or depth > 2:
        return []
    return [name for name, child in value.items() if child is None or _nulls(child, depth + 1)]


def test_an_event_of_every_fineract_type_can_be_generated_from_its_schema() -> None:
    schemas = read_folder(shared_fineract() / "schemas" / "develop-2026-06-29" / "avro")
    for type_ in FINERACT_TYPES:
        assert len(standard_body(sample(type_, schemas=schemas))) > 120, type_


def test_an_unknown_type_has_a_small_payload() -> None:
    event = sample("order.paid", source="shop")
    assert (event.type, event.source, event.tenant) == ("order.paid", "shop", None)
    assert orjson.loads(standard_body(event))["data"]["id"] == 1001


def test_a_sample_is_the_same_each_time_unless_it_has_another_id() -> None:
    first, second = sample("order.paid"), sample("order.paid")
    assert (first.id, first.webhook_id) == (second.id, second.webhook_id)
    assert sample("order.paid", id="x").webhook_id != first.webhook_id


def test_a_file_can_set_every_part_of_an_event(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    facts = {"type": "order.paid", "id": "7", "time": "2026-06-29T10:15:30+02:00", "entity": "e", "tenant": "t",
             "source": "shop", "topic": "orders", "headers": {"a": "b"}, "context": {"c": "d"}, "data": [1]}  # fmt: skip
    file.write_text(json.dumps(facts))
    event = sample(str(file), id="not used")
    assert (event.id, event.time, event.entity, event.tenant, event.source) == (
        "7",
        "2026-06-29T08:15:30Z",
        "e",
        "t",
        "shop",
    )
    assert (event.record.partition.topic, event.record.headers, event.context) == (
        "orders",
        (("a", b"b"),),
        {"c": "d"},
    )
    assert event.payload() == [1]


def test_a_sample_may_have_null_headers_and_extensions_of_every_type(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text(
        '{"type": "a", "data": null, "headers": {"x": null}, "context": {"flag": true, "five": 5}}'
    )
    event = sample(file)
    assert (event.record.headers, event.context) == ((("x", None),), {"flag": True, "five": 5})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "one.json:1:2: is not JSON"), ("[]", "needs a type and data"), ('{"type": "a"}', "needs a type and data"),
        ('{"type": 1, "data": 1}', "needs a type"), ('{"type": "a", "data": 1, "tme": "x"}', "'tme' is not a key of a sample"),
        ('{"type": "a", "data": 1, "entity": 5}', "entity is not text"),
        ('{"type": "a", "data": 1, "time": "soon"}', "time is not an instant"),
        ('{"type": "a", "data": 1, "headers": {"a": 1}}', "headers is not a mapping of texts"),
        ('{"type": "a", "data": 1, "context": {"a": [1]}}', "context is not a mapping of texts"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_sample_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "one.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        sample(file)


@pytest.mark.parametrize("name", ["", "a b", "x" * 300, "no/such.json", "-x"])
def test_a_name_that_is_neither_a_type_nor_a_file_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        sample(name)
