"""Records of a real Fineract decode with the layouts of their own release, and with no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from bridge.errors import DecodeError
from bridge.formats.fineract import FineractDecoder
from bridge.model import Event
from bridge.rendering import to_json
from bridge.schemas.folder import SchemaFolder
from bridge.schemas.importing import import_schemas
from tests.support.records import LIMIT, record, shared_fineract, shared_json

VERSIONS = ("1.10.1", "develop-2026-06-29")
LABELS = ("loan-approved", "savings-deposit", "bulk-2-adjustments")


def sample_of(label: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in shared_json("sample-records.json") if one["label"] == label)
    return found


def events_of(sample: dict[str, Any], version: str, folder: Path, *, split: bool = True) -> tuple[Event, ...]:
    import_schemas(shared_fineract() / "schemas" / version, folder)
    decoder = FineractDecoder("bank", SchemaFolder(folder), max_value_bytes=LIMIT, split_bulk=split)
    value, key = bytes.fromhex(sample["value_hex"]), bytes.fromhex(sample["key_hex"])
    return decoder.decode(record(value, key=key))


def as_json(event: Event) -> Any:
    return orjson.loads(to_json(event.payload()))


def test_every_sample_is_tested() -> None:
    assert {one["label"] for one in shared_json("sample-records.json")} == set(LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_a_record_is_decoded_with_the_layouts_of_its_release(label: str, tmp_path: Path) -> None:
    sample = sample_of(label)
    (event,) = events_of(sample, sample["fineract"], tmp_path, split=False)
    assert (event.type, event.id) == (sample["type"], sample["idempotencyKey"])
    assert event.context["id"] == str(sample["id"])
    assert event.context["category"] == sample["category"]
    assert event.context["dataschema"] == sample["dataschema"]
    assert (event.entity, event.tenant) == (str(int(sample["key_hex"], 16)), "default")
    payload = as_json(event)
    expected = sample["payload"]
    if "datas" not in expected:
        assert {name: payload[name] for name in expected} == expected
        return
    for found, item in zip(payload["datas"], expected["datas"], strict=True):
        assert {**found, "data": None} == {**item, "data": None}
        assert found["data"]["newTransactionDetail"]["amount"] == "120.00000000"


@pytest.mark.parametrize(
    ("label", "version"), [("loan-approved", "develop-2026-06-29"), ("bulk-2-adjustments", "1.10.1")]
)
def test_with_only_another_release_it_is_refused_with_what_to_import(
    label: str, version: str, tmp_path: Path
) -> None:
    """Decoding into shifted fields would be worse than an error."""
    sample = sample_of(label)
    for event in events_of(sample, version, tmp_path):
        with pytest.raises(DecodeError) as caught:
            event.payload()
        told = str(caught.value)
        assert event.context["dataschema"] in told
        assert f"hookferry schemas import JAR --into {tmp_path}" in told
        assert "hookferry parked redrive --reason " in told


def test_a_layout_shared_by_two_releases_is_decoded_with_either(tmp_path: Path) -> None:
    """The fingerprint decides, not the release: savings transactions are the same in both."""
    sample = sample_of("savings-deposit")
    payloads = [as_json(events_of(sample, version, tmp_path / version)[0]) for version in VERSIONS]
    assert payloads[0] == payloads[1]


def test_a_bulk_record_is_split_into_its_items(tmp_path: Path) -> None:
    sample = sample_of("bulk-2-adjustments")
    events = events_of(sample, sample["fineract"], tmp_path)
    assert [(one.id, one.type, one.entity, one.context["dataschema"]) for one in events] == [
        (f"{sample['idempotencyKey']}:{item['id']}", item["type"], "42", item["dataschema"])
        for item in sample["payload"]["datas"]
    ]
    assert [as_json(one)["newTransactionDetail"]["amount"] for one in events] == ["120.00000000"] * 2
    assert len({one.webhook_id for one in events}) == 2


def test_two_imported_releases_decode_the_records_of_both(tmp_path: Path) -> None:
    for version in VERSIONS:
        import_schemas(shared_fineract() / "schemas" / version, tmp_path)
    for label in LABELS:
        for event in events_of(sample_of(label), VERSIONS[0], tmp_path):
            event.payload()
