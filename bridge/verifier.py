"""Verify webhooks in a receiver: Standard Webhooks 1.0.0, signature versions v1 (HMAC) and v1a (Ed25519).

Copy this file into a receiver, or import it. It needs only the standard library; for v1a also the package
``cryptography``. Invariant: it imports nothing else of Hookferry, and it compares MACs in constant time.

    from bridge.verifier import VerificationError, verify

    try:
        webhook_id = verify(["whsec_…"], request.headers, raw_body)
    except VerificationError as exc:
        return 401, str(exc)
    if webhook_id in processed:
        return 204
"""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

TOLERANCE_S = 300
"""Requests whose timestamp differs by more are refused, so that a recorded request cannot be sent again."""

_LONGEST_TIMESTAMP = 12
_MOST_SIGNATURES = 64
"""More are not compared: an attacker must not decide how much work a request is."""


class VerificationError(Exception):
    """A request that is not genuine or not recent.

    ``part`` is the part of the request that failed: ``webhook-id``, ``webhook-timestamp`` or
    ``webhook-signature``. The text contains nothing secret and no text from the request.
    """

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(f"{part}: {reason}")
        self.part = part
        self.reason = reason


def verify(
    keys: Iterable[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now_s: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """Return the ``webhook-id`` of a genuine and recent request. Raises ``VerificationError``.

    ``keys``: shared secrets (``whsec_…``) and public keys (``whpk_…``); during a rotation the new and the old
    one. ``body``: the raw body, before any parsing. The id is the same on every retry: process each one once.
    Raises ``ValueError`` for a key that cannot be used.
    """
    secrets, public_keys = _sorted(keys)
    lower = {name.lower(): value for name, value in headers.items()}
    webhook_id = lower.get("webhook-id", "")
    if not webhook_id:
        raise VerificationError("webhook-id", "the header is missing")
    if not webhook_id.isascii():
        raise VerificationError("webhook-id", "contains characters outside of ASCII")
    timestamp = _recent(
        lower.get("webhook-timestamp", ""), time.time() if now_s is None else now_s, tolerance_s
    )
    signatures = _signatures(lower.get("webhook-signature", ""))
    signed = b"%b.%b.%b" % (webhook_id.encode("ascii"), timestamp.encode("ascii"), body)
    if not (_any_mac(secrets, signatures, signed) or _any_ed25519(public_keys, signatures, signed)):
        raise VerificationError(
            "webhook-signature", "matches no key: the key is another one, or the body or the id was changed"
        )
    return webhook_id


def _recent(timestamp: str, now_s: float, tolerance_s: float) -> str:
    part = "webhook-timestamp"
    if not timestamp:
        raise VerificationError(part, "the header is missing")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _LONGEST_TIMESTAMP):
        raise VerificationError(part, "is not a number of Unix seconds")
    age_s = now_s - int(timestamp)
    if age_s > tolerance_s:
        raise VerificationError(part, f"is {age_s:.0f} s old, and at most {tolerance_s:g} s are allowed")
    if age_s < -tolerance_s:
        raise VerificationError(part, f"is {-age_s:.0f} s in the future: compare the clocks")
    return timestamp


def _signatures(header: str) -> list[tuple[str, bytes]]:
    """Return version and bytes of each signature; unknown versions are skipped."""
    part = "webhook-signature"
    if not header.strip():
        raise VerificationError(part, "the header is missing")
    signatures = []
    for entry in header.split()[:_MOST_SIGNATURES]:
        version, _, text = entry.partition(",")
        if version in ("v1", "v1a"):
            with suppress(ValueError):  # a damaged one among others that match does no harm
                signatures.append((version, base64.b64decode(text, validate=True)))
    if not signatures:
        raise VerificationError(part, "has no signature of the form v1,<base64> or v1a,<base64>")
    return signatures


def _any_mac(secrets: list[bytes], signatures: list[tuple[str, bytes]], signed: bytes) -> bool:
    expected = [hmac.digest(secret, signed, "sha256") for secret in secrets]
    return any(
        hmac.compare_digest(mac, signature)
        for version, signature in signatures
        if version == "v1"
        for mac in expected
    )


def _any_ed25519(public_keys: list[bytes], signatures: list[tuple[str, bytes]], signed: bytes) -> bool:
    given = [signature for version, signature in signatures if version == "v1a"]
    if not (public_keys and given):
        return False
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - needed for v1a only
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    for public_key in public_keys:
        for signature in given:
            try:
                Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
            except InvalidSignature:
                continue
            return True
    return False


def _sorted(keys: Iterable[str]) -> tuple[list[bytes], list[bytes]]:
    """Return the shared secrets and the public keys as bytes. Raises ``ValueError``."""
    if isinstance(keys, str):
        raise ValueError("keys is one text; give a list of keys")
    secrets: list[bytes] = []
    public_keys: list[bytes] = []
    for key in keys:
        text = key.strip()
        if text.startswith("whsk_"):
            raise ValueError("a key is the sender's signing key; a receiver needs its public key, whpk_…")
        is_public = text.startswith("whpk_")
        raw = _key_bytes(text.removeprefix("whpk_").removeprefix("whsec_"))
        if is_public and len(raw) != 32:
            raise ValueError(f"a public key has {len(raw)} bytes, and must have 32")
        if not is_public and not 24 <= len(raw) <= 64:
            raise ValueError(f"a secret has {len(raw)} bytes, and must have 24 to 64")
        (public_keys if is_public else secrets).append(raw)
    if not (secrets or public_keys):
        raise ValueError("there is no key")
    return secrets, public_keys


def _key_bytes(text: str) -> bytes:
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a key is not whsec_ or whpk_ and base64") from None
