"""Find out whether a captured request is genuine, and which part of it fails. Pure.

A signature that does not match has two causes that look the same: another key, or changed bytes. The report
therefore tries the changes that proxies, frameworks and editors make to a body, and all keys that are given.
Invariant: no line contains a key or a part of one.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import NamedTuple

from bridge.cli.captured_request import CapturedRequest
from bridge.core.instant import instant_text
from bridge.core.signing import HmacForm, HmacSigner, SigningKey, StandardSigner
from bridge.rendering.compression import CODINGS, Compression

_LONGEST_TIMESTAMP = 12
_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
"""The first bytes of compressed bodies (RFC 1952 2.3.1, RFC 8878 3.1.1)."""
_UNPACKED = "the receiver's framework unpacked it; verify the bytes as they arrive"
Matches = Callable[[SigningKey, bytes], bool]


class Candidate(NamedTuple):
    """A key to try, and the endpoint or file that it is from."""

    origin: str
    key: SigningKey


class Report(NamedTuple):
    """The lines for a person, and whether the request is genuine and recent."""

    lines: list[str]
    verified: bool


class _Checked(NamedTuple):
    line: str
    holds: bool


def report(
    request: CapturedRequest,
    form: HmacForm | None,
    candidates: Sequence[Candidate],
    others: Sequence[Candidate],
    *,
    now_s: float,
    tolerance_s: float,
) -> Report:
    """Check a request. ``candidates`` should match; ``others`` are tried to explain why none of them does."""
    stamped = form is None or "{timestamp}" in form.signs
    checks = [_id(request)] if form is None or "{id}" in form.signs else []
    if stamped:
        checks.append(_timestamp(request, form, now_s, tolerance_s))
    checks.append(_signature(request, form, candidates, others, now_s))
    lines = [check.line for check in checks]
    if note := request.length_note():
        lines.append(f"body: {note}: the capture is not the body that was sent")
    if note := _unpacked_note(request):
        lines.append(note)
    return Report(lines, all(check.holds for check in checks))


def _id(request: CapturedRequest) -> _Checked:
    webhook_id = request.headers.get("webhook-id", "")
    if not webhook_id.isascii():
        return _Checked("webhook-id: contains characters outside of ASCII", holds=False)
    if webhook_id:
        return _Checked("webhook-id: present", holds=True)
    return _Checked("webhook-id: missing; it is part of what is signed", holds=False)


def _timestamp(request: CapturedRequest, form: HmacForm | None, now_s: float, tolerance_s: float) -> _Checked:
    name, text = _timestamp_of(request, form)
    if not text:
        return _Checked(f"{name}: missing; it is part of what is signed", holds=False)
    if not _is_seconds(text):
        return _Checked(f"{name}: is not a number of Unix seconds", holds=False)
    age_s = now_s - int(text)
    if age_s > tolerance_s:
        at = instant_text(int(text))
        line = f"is too old by {age_s - tolerance_s:.0f} s ({at}); --at sets the time of the check"
        return _Checked(f"{name}: {line}", holds=False)
    if age_s < -tolerance_s:
        line = f"is in the future by {-age_s - tolerance_s:.0f} s more than allowed; compare the clocks"
        return _Checked(f"{name}: {line}", holds=False)
    at = instant_text(int(text))
    return _Checked(f"{name}: {at}, {abs(age_s):.0f} s from the time of the check", holds=True)


def _timestamp_of(request: CapturedRequest, form: HmacForm | None) -> tuple[str, str]:
    """Return the name of the header with the timestamp, and the timestamp."""
    if form is not None and "{timestamp}" in form.head:
        before, _, after = form.head.partition("{timestamp}")
        value = request.headers.get(form.header.lower(), "")
        inner = value.removeprefix(before) if value.startswith(before) else ""
        return form.header, inner.partition(after)[0] if after else inner
    name = "webhook-timestamp" if form is None or form.timestamp_header is None else form.timestamp_header
    return name, request.headers.get(name.lower(), "")


def _signature(
    request: CapturedRequest,
    form: HmacForm | None,
    candidates: Sequence[Candidate],
    others: Sequence[Candidate],
    now_s: float,
) -> _Checked:
    header = "webhook-signature" if form is None else form.header
    value = request.headers.get(header.lower(), "")
    if not value:
        return _Checked(f"{header}: missing; {_other_form(request)}", holds=False)
    given = _given(value, form)
    if problem := _wrong_form(given, form, candidates):
        return _Checked(f"{header}: {problem}", holds=False)
    matches = _matcher(request, form, given)
    for candidate in candidates:
        if matches(candidate.key, request.body):
            return _Checked(f"{header}: {_match(candidate, now_s)}", holds=True)
    return _Checked(f"{header}: {_why_not(request, matches, candidates, others)}", holds=False)


def _match(candidate: Candidate, now_s: float) -> str:
    key, text = candidate.key, f"matches key {candidate.key.name} of {candidate.origin}"
    return text if key.until_s > now_s else f"{text}, which ended at {instant_text(key.until_s)}"


def _unpacked_note(request: CapturedRequest) -> str | None:
    """Return that the captured body is not compressed, although its headers say so; else None."""
    coding = request.headers.get("content-encoding", "").strip().lower()
    magic = _MAGIC.get(coding)
    if magic is None or request.body.startswith(magic):
        return None
    return f"body: {_UNPACKED}: content-encoding is {coding}, and the captured body is not {coding}"


def _why_not(
    request: CapturedRequest, matches: Matches, candidates: Sequence[Candidate], others: Sequence[Candidate]
) -> str:
    for change, body in _changed_bodies(request.body):
        for candidate in candidates:
            if matches(candidate.key, body):
                return f"the body was changed: it matches key {candidate.key.name} {change}"
    for candidate in others:
        if matches(candidate.key, request.body):
            return f"wrong key: it matches key {candidate.key.name} of {candidate.origin}"
    names = ", ".join(f"{candidate.key.name} of {candidate.origin}" for candidate in candidates)
    return f"matches no key: the key is another one, or body, id or time were changed. Tried: {names}"


def _matcher(request: CapturedRequest, form: HmacForm | None, given: Sequence[str]) -> Matches:
    """Return the function that compares a key and a body with the signatures of the request."""
    webhook_id = request.headers.get("webhook-id", "")
    webhook_id = webhook_id if webhook_id.isascii() else ""
    _, stamp = _timestamp_of(request, form)
    at_s = int(stamp) if _is_seconds(stamp) else 0

    def matches(key: SigningKey, body: bytes) -> bool:
        if key.public is not None:
            return _verifies(key.public, given, b"%b.%d.%b" % (webhook_id.encode(), at_s, body))
        always = replace(key, since_s=-inf, until_s=inf)
        signer = StandardSigner([always]) if form is None else HmacSigner(form, [always])
        expected = _given(signer.headers(webhook_id, at_s, body)[-1][1].decode("ascii"), form)
        return any(
            hmac.compare_digest(one.encode("utf-8", "replace"), two.encode())
            for one in given
            for two in expected
        )

    return matches


def _verifies(public: bytes, given: Sequence[str], signed: bytes) -> bool:
    from bridge.core.signing.ed25519 import verifies

    for entry in given:
        version, _, text = entry.partition(",")
        with suppress(ValueError):
            if version == "v1a" and verifies(public, base64.b64decode(text, validate=True), signed):
                return True
    return False


def _is_seconds(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_TIMESTAMP


def _given(value: str, form: HmacForm | None) -> list[str]:
    """Return the signatures of a header; none if it does not have the form."""
    if form is None:
        return [entry for entry in value.split() if entry.startswith(("v1,", "v1a,"))]
    parts = [value] if form.separator is None else value.split(form.separator)
    return [part for part in parts if part.startswith(form.prefix)] if form.prefix else parts


def _wrong_form(given: Sequence[str], form: HmacForm | None, candidates: Sequence[Candidate]) -> str | None:
    """Return why the header cannot match any of the keys, whatever was signed; None if it can."""
    if form is not None:
        shown = f"{form.head}{form.prefix}<{form.encoding} of HMAC-{form.algorithm.upper()}>"
        return None if given else f"does not have the form {shown}"
    if not given:
        return "has no signature of the form v1,<base64> or v1a,<base64>"
    given_versions = {entry.partition(",")[0] for entry in given}
    if given_versions & {"v1" if candidate.key.public is None else "v1a" for candidate in candidates}:
        return None
    if "v1" in given_versions:
        return "has only v1, which a shared secret (whsec_) makes, and the keys are Ed25519 keys"
    return "has only v1a, which an Ed25519 key makes: give its public key (whpk_)"


def _other_form(request: CapturedRequest) -> str:
    known = {
        "webhook-signature": "standard", "x-hub-signature-256": "github", "stripe-signature": "stripe",
        "x-shopify-hmac-sha256": "shopify", "x-slack-signature": "slack",
    }  # fmt: skip
    for name, form in known.items():
        if name in request.headers:
            return f"the request is signed in the form {form} ({name})"
    return "the request is not signed, or a proxy removed the header"


def _changed_bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what the sent body may have been, if what arrived is not the same bytes."""
    for coding in CODINGS:
        yield f"compressed with {coding}: {_UNPACKED}", Compression(coding, 0).of(body)[1]
    yield "with the line break at its end removed", body.removesuffix(b"\n").removesuffix(b"\r")
    yield "with a line break at its end", body + b"\n"
    yield "with its line breaks as LF", body.replace(b"\r\n", b"\n")
    yield "with its line breaks as CRLF", body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield "without its byte order mark", body.removeprefix(b"\xef\xbb\xbf")
    with suppress(ValueError, RecursionError):
        document = json.loads(body)
        for ascii_only in (False, True):
            for separators in ((",", ":"), (", ", ": ")):
                text = json.dumps(document, ensure_ascii=ascii_only, separators=separators)
                change = "as JSON with other spaces: verify the raw body, before it is parsed"
                yield change, text.encode("utf-8", "replace")
