"""Verify the requests of standard input with ``page.py`` and ``webhook_verifier.py`` of the same folder."""

from __future__ import annotations

import base64
import sys

import page  # type: ignore[import-not-found]  # the code block of docs/how-to/verifying/python.md
import webhook_verifier  # type: ignore[import-not-found]  # a copy of bridge/verifier.py

for line in sys.stdin:
    keys, webhook_id, timestamp, signature, now_s, body = (
        base64.b64decode(field[1:]) for field in line.rstrip("\n").split("\t")
    )
    headers = {
        "Webhook-Id": webhook_id.decode(),
        "Webhook-Timestamp": timestamp.decode(),
        "Webhook-Signature": signature.decode(),
    }
    try:
        print("ok", webhook_verifier.verify(keys.decode().split(","), headers, body, now_s=int(now_s)))
    except webhook_verifier.VerificationError:
        print("no")

assert page.receive({}, b"", set()) == 401
assert "bridge" not in sys.modules
