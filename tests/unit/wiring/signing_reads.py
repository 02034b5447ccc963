"""The rows of ``READS`` for ``endpoints.signing``: the value in ``example.py``, and the part that uses it."""

from __future__ import annotations

from typing import Any

from bridge.core.signing import FORMS, HmacForm, HmacSigner, Signer, SigningKey
from bridge.settings.models.signing import HmacFormSettings
from tests.support.parts import part
from tests.unit.wiring.built import Built, Read
from tests.unit.wiring.example import BEGINS_S, FORM, KEY, OTHER_KEY


def _signature(key: bytes, form: HmacForm, at_s: int) -> Any:
    return HmacSigner(form, [SigningKey(key)]).headers("id", at_s, b"body")


def _signer(b: Built, name: str = "file") -> Any:
    return part(b.dispatcher(name), Signer)  # type: ignore[type-abstract] # it is only compared with


SIGNING_READS: dict[str, tuple[Any, Read]] = {
    "endpoints.signing.form": (
        _signature(KEY, FORMS["shopify"], 1),
        lambda b: _signer(b, "thin").headers("id", 1, b"body"),
    ),
    **dict.fromkeys(
        (f"endpoints.signing.form.{name}" for name in HmacFormSettings.model_fields),
        (_signature(KEY, HmacForm(**FORM), 1), lambda b: _signer(b).headers("id", 1, b"body")),
    ),
    "endpoints.signing.keys": ([KEY, OTHER_KEY], lambda b: [key.secret for key in _signer(b)._all]),
    "endpoints.signing.keys.secret": (
        _signature(OTHER_KEY, HmacForm(**FORM), BEGINS_S),
        lambda b: _signer(b).headers("id", BEGINS_S, b"body"),
    ),
    "endpoints.signing.keys.since": (BEGINS_S, lambda b: _signer(b)._all[1].since_s),
    "endpoints.signing.keys.until": (BEGINS_S, lambda b: _signer(b)._all[0].until_s),
}
