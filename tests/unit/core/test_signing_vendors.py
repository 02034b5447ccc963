"""Verifiers of other people accept what we sign, and refuse it for another body.

The libraries for JavaScript come from ``make verifiers``, which needs npm and a registry.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.core.signing import FORMS, HmacSigner, SigningKey, StandardSigner
from bridge.core.signing.key_text import standard_key

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TEXT = "a secret of 26 characters"
BODY = '{"id": "evt_1", "object": "event", "name": "Jörg"}'.encode()
NODE = Path(__file__).resolve().parents[3] / "tests" / "support" / "verifiers" / "node"
LIBRARIES = {"standard": "standardwebhooks", "stripe": "stripe", "github": "@octokit/webhooks-methods"}


def signed(form: str, body: bytes = BODY) -> dict[str, str]:
    if form == "standard":
        headers = StandardSigner([standard_key(SECRET)]).headers("evt_1", int(time.time()), body)
    else:
        headers = HmacSigner(FORMS[form], [SigningKey(TEXT.encode())]).headers(
            "evt_1", int(time.time()), body
        )
    return {name.decode(): value.decode() for name, value in headers}


def test_stripes_own_library_for_python_accepts_the_form_stripe() -> None:
    stripe: Any = pytest.importorskip("stripe", reason="the package stripe is not installed")
    header = signed("stripe")["Stripe-Signature"]
    assert stripe.Webhook.construct_event(BODY, header, TEXT).id == "evt_1"
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(BODY + b" ", header, TEXT)


@pytest.mark.parametrize("form", LIBRARIES)
def test_a_library_for_javascript_accepts_its_form_and_refuses_another_body(form: str) -> None:
    if shutil.which("node") is None or not (NODE / "node_modules" / LIBRARIES[form]).exists():
        pytest.skip(f"node or the library {LIBRARIES[form]} is not installed; run: make verifiers")
    headers = {name.lower(): value for name, value in signed(form).items()}
    secret = SECRET if form == "standard" else TEXT
    requests = [
        {"form": form, "secret": secret, "headers": headers, "body": body.decode()}
        for body in (BODY, BODY + b" ", b"{}")
    ]
    done = subprocess.run(
        ["node", "check.mjs"], input=json.dumps(requests), cwd=NODE, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ok", "no", "no"]
