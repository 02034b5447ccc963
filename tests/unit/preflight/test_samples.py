"""Sample events: Fineract's names and fields are the true ones, files are read strictly."""
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


def test_the_known_types_are_fineracts() -> None:
    assert PAYLOADS.keys() <= set(FINERACT_TYPES)


def test_every_type_has_the_schema_that_fineract_writes_it_with() -> None:
    wrong = {
        one["type"] for one in shared_json("event-types.json") if schema_of(one["type"]) != one["dataschema"]
    }
    assert wrong == set()


def test_the_fields_of_the_samples_are_fields_of_the_schemas() -> None:
    schemas = read_folder(shared_fineract() / "schemas" / "develop-2026-06-29" / "avro")
    for type_, payload in PAYLOADS.items():
        whole = sample(type_, schemas=schemas).payload()
        assert _surplus(payload, whole) == [], type_
        assert _nulls(whole) == [], type_
        assert whole["id"] == payload["id"], "what is known is laid over"


def _surplus(some: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    found = [name for name in some if name not in whole]
    for name, value in some.items():
        if isinstance(value, dict) and name in whole:
            found += _surplus(value, whole[name])
    return found


def _nulls(value: Any, depth: int = 0) -> list[str]:
    if not isinstance(value, dict) or depth > 2:
        return []
    return [name for name, one in value.items() if one is None or _nulls(one, depth + 1)]


def test_any_type_of_fineract_can_be_made_from_its_schema() -> None:
    schemas = read_folder(shared_fineract() / "schemas" / "develop-2026-06-29" / "avro")
    for type_ in FINERACT_TYPES:
        assert len(standard_body(sample(type_, schemas=schemas))) > 120, type_


def test_a_type_nobody_knows_has_a_small_payload() -> None:
    one = sample("order.paid", source="shop")
    assert (one.type, one.source, one.tenant) == ("order.paid", "shop", None)
    assert orjson.loads(standard_body(one))["data"]["id"] == 1001


def test_a_sample_is_the_same_each_time_unless_it_has_another_id() -> None:
    first, second = sample("order.paid"), sample("order.paid")
    assert (first.id, first.webhook_id) == (second.id, second.webhook_id)
    assert sample("order.paid", id="x").webhook_id != first.webhook_id


def test_a_file_says_what_it_likes(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    facts = {"type": "order.paid", "id": "7", "time": "2026-06-29T10:15:30+02:00", "entity": "e", "tenant": "t",
             "source": "shop", "topic": "orders", "headers": {"a": "b"}, "context": {"c": "d"}, "data": [1]}  # fmt: skip
    file.write_text(json.dumps(facts))
    one = sample(str(file), id="not used")
    assert (one.id, one.time, one.entity, one.tenant, one.source) == (
        "7",
        "2026-06-29T08:15:30Z",
        "e",
        "t",
        "shop",
    )
    assert (one.record.partition.topic, one.record.headers, one.context) == (
        "orders",
        (("a", b"b"),),
        {"c": "d"},
    )
    assert one.payload() == [1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "one.json:1:2: is not JSON"), ("[]", "needs a type and data"), ('{"type": "a"}', "needs a type and data"),
        ('{"type": 1, "data": 1}', "needs a type"), ('{"type": "a", "data": 1, "tme": "x"}', "knows no 'tme'"),
        ('{"type": "a", "data": 1, "entity": 5}', "entity is no text"),
        ('{"type": "a", "data": 1, "time": "soon"}', "time is no instant"),
        ('{"type": "a", "data": 1, "headers": {"a": 1}}', "headers is not a mapping of texts"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_sample_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "one.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        sample(file)


@pytest.mark.parametrize("name", ["", "a b", "x" * 300, "no/such.json", "-x"])
def test_a_name_that_is_none_is_said(name: str) -> None:
    with pytest.raises(ConfigError):
        sample(name)
