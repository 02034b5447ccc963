"""Which answers complain of the signature."""

from __future__ import annotations

import pytest

from bridge.core.signature_failure import SignatureFailures
from bridge.model import Response
from bridge.settings.models.signature_failures import SignatureFailureSettings

DEFAULT = SignatureFailureSettings()
FAILURES = SignatureFailures(frozenset(DEFAULT.statuses), DEFAULT.texts)


@pytest.mark.parametrize("body", [
    b"Invalid signature", b'{"message": "SIGNATURE_MISMATCH"}', b"HMAC validation failed",
    b"Missing required headers: webhook-signature", b"Message timestamp too old", b"no svix-id header",
])  # fmt: skip
@pytest.mark.parametrize("status", [401, 403])
def test_the_words_of_known_verifiers_are_recognized(status: int, body: bytes) -> None:
    assert FAILURES.match(Response(status, (), body))


def test_a_challenge_in_a_header_is_recognized() -> None:
    assert FAILURES.match(Response(401, ((b"www-authenticate", b'Signature realm="hooks"'),), b""))


@pytest.mark.parametrize(("status", "body"), [(401, b"token expired"), (403, b""), (400, b"bad signature"),
                                              (500, b"signature")])  # fmt: skip
def test_other_answers_are_not(status: int, body: bytes) -> None:
    assert not FAILURES.match(Response(status, (), body))


def test_statuses_and_texts_can_be_configured() -> None:
    failures = SignatureFailures(frozenset({400}), ("firma no válida",))
    assert failures.match(Response(400, (), "Firma no VáLIDA".replace("VáL", "vál").encode()))
    assert not failures.match(Response(401, (), b"invalid signature"))


def test_without_texts_the_status_is_enough() -> None:
    assert SignatureFailures(frozenset({418}), ()).match(Response(418, (), b""))
