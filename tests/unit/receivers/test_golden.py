"""Every body equals its golden file byte for byte, and its receiver accepts it."""

from __future__ import annotations

import difflib
from typing import Any

import pytest

from bridge.core.signing import SigningKey, StandardSigner
from bridge.core.verdict import judge
from bridge.model import Event, Response, Verdict
from bridge.preflight.samples import sample
from bridge.receivers import PRESETS
from bridge.rendering.body_secret import BodySecret
from bridge.schemas.folder import read_folder
from bridge.settings.models.fineract_types import FINERACT_TYPES
from tests.golden.golden import FOLDER, wanted
from tests.support.receivers import SIMULATORS
from tests.support.receivers.__main__ import QUERIES
from tests.support.receivers.hooks import now_signed
from tests.support.receivers.pagerduty import PagerDuty
from tests.support.records import shared_fineract

FILES = wanted()
IDS = [f"{path.parent.name}-{path.stem}" for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_body_equals_its_golden_file(path):
    """If the change is intended, run python -m tests.golden.golden and review the diff."""
    golden = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        golden.splitlines(), FILES[path].splitlines(), f"agreed/{path.stem}", f"made/{path.stem}", lineterm=""
    )
    difference = "\n".join(lines)
    assert not difference, f"{difference}\n\nIf it is meant: python -m tests.golden.golden"


def test_every_golden_file_belongs_to_a_preset_and_an_event():
    assert set(FOLDER.glob("*/*.json")) == FILES.keys()


def delivered(preset: str, event: Event) -> Any:
    """Send the event to its simulator; return it, or fail if it refused the event."""
    simulator, chosen = SIMULATORS[preset](), PRESETS[preset]
    headers, body = chosen.render(event)
    if isinstance(simulator, PagerDuty):
        body = BodySecret(chosen.key_field, simulator.routing_key).insert(body)
    at_s, key = now_signed()
    headers = (*headers, *StandardSigner([SigningKey(key)]).headers("msg", at_s, body))
    target = simulator.path + QUERIES.get(preset, "")
    said = simulator.answer(target, {name.decode(): text.decode() for name, text in headers}, body, 0.0)
    verdict = judge(Response(said.status, (), said.body.encode()), 0.0, chosen.judge).verdict
    assert verdict is Verdict.DELIVERED, (event.type, said)
    assert len(simulator.shown) == 1
    return simulator


@pytest.mark.parametrize(("preset", "type"), [(path.parent.name, path.stem) for path in FILES], ids=IDS)
def test_the_receiver_accepts_a_golden_body(preset, type):
    assert getattr(delivered(preset, sample(type)), "controls", []) == []


@pytest.mark.parametrize("preset", sorted(SIMULATORS.keys() - {"standard", "fineract-hook"}))
def test_every_type_of_fineract_with_every_field_is_accepted(preset):
    schemas = read_folder(shared_fineract() / "schemas" / "develop-2026-06-29" / "avro")
    for type_ in FINERACT_TYPES:
        delivered(preset, sample(type_, schemas=schemas))
