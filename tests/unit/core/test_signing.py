"""Signing by Standard Webhooks: its vectors, an independent verifier, keys that begin and end."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from math import inf

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.core.signing import IdOnly, NoSignature, SigningKey, StandardSigner
from bridge.core.signing.ed25519 import verifies
from bridge.core.signing.key_text import standard_key
from bridge.core.signing.keys import active, gap

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
V1 = b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
V1A = b"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
ID, AT = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
BODY = b'{"test": 2432232314}'
OLD, NEW = SigningKey(b"o" * 32), SigningKey(b"n" * 32)


def signature(keys: list[SigningKey], at_s: int = AT) -> bytes:
    return dict(StandardSigner(keys).headers(ID, at_s, BODY))[b"webhook-signature"]


def verify(secret: str, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> None:
    Webhook(secret).verify(body, {key.decode(): value.decode() for key, value in headers})


@pytest.mark.parametrize(("key", "expected"), [(SECRET, V1), (PAIR, V1A)])
def test_the_signatures_of_the_published_test_vectors_are_reproduced(key: str, expected: bytes) -> None:
    assert StandardSigner([standard_key(key)]).headers(ID, AT, BODY) == (
        (b"webhook-id", ID.encode()),
        (b"webhook-timestamp", b"1614265330"),
        (b"webhook-signature", expected),
    )


def test_shared_secrets_and_ed25519_keys_sign_in_one_header_separated_by_spaces() -> None:
    assert signature([standard_key(SECRET), standard_key(PAIR)]) == V1 + b" " + V1A


def test_an_independent_verifier_accepts_a_signature_and_refuses_it_for_a_changed_body() -> None:
    headers = StandardSigner([standard_key(SECRET)]).headers("evt_1", int(time.time()), BODY)
    verify(SECRET, headers, BODY)
    with pytest.raises(WebhookVerificationError):
        verify(SECRET, headers, BODY + b" ")
    with pytest.raises(WebhookVerificationError):
        verify("whsec_" + "A" * 32, headers, BODY)


def test_an_ed25519_signature_verifies_with_the_public_key_and_not_for_a_changed_body() -> None:
    key = standard_key(PAIR)
    assert key.public is not None
    header = signature([key]).removeprefix(b"v1a,")
    raw = base64.b64decode(header)
    signed = b"%b.%d.%b" % (ID.encode(), AT, BODY)
    assert verifies(key.public, raw, signed)
    assert not verifies(key.public, raw, signed + b" ")


def test_with_two_keys_the_signature_verifies_with_either_and_the_newest_is_first() -> None:
    other, now = "whsec_" + "B" * 32, int(time.time())
    keys = [standard_key(SECRET), replace(standard_key(other), since_s=1.0)]
    headers = StandardSigner(keys).headers("evt_1", now, BODY)
    verify(SECRET, headers, BODY)
    verify(other, headers, BODY)
    newest = dict(StandardSigner([standard_key(other)]).headers("evt_1", now, BODY))[b"webhook-signature"]
    assert dict(headers)[b"webhook-signature"].split()[0] == newest


def test_an_overlap_ends_by_itself_at_the_first_attempt_after_it_and_begins_at_its_instant() -> None:
    signer = StandardSigner([replace(NEW, since_s=100.0), replace(OLD, until_s=200.0)])

    def signed_with(at_s: int) -> list[SigningKey]:
        given = dict(signer.headers(ID, at_s, BODY))[b"webhook-signature"].split()
        return [key for key in (NEW, OLD) if signature([key], at_s) in given]

    assert [signed_with(at_s) for at_s in (99, 100, 199, 200)] == [[OLD], [NEW, OLD], [NEW, OLD], [NEW]]
    assert signed_with(150) == [NEW, OLD], "a clock that was set back is followed"


def test_the_name_of_the_newest_key_changes_when_the_new_one_begins() -> None:
    signer = StandardSigner([replace(NEW, since_s=100.0), OLD])
    names = []
    for at_s in (99, 100):
        signer.headers(ID, at_s, BODY)
        names.append(signer.newest_key)
    assert names == [OLD.name, NEW.name]


@pytest.mark.parametrize(("at_s", "key"), [(1, OLD), (11, OLD), (19, NEW), (99, NEW)])
def test_outside_of_all_times_the_nearest_key_signs_and_never_none(at_s: int, key: SigningKey) -> None:
    """As after a clock was set back: an unsigned request would be worse than one with an old key."""
    keys = [replace(NEW, since_s=20.0, until_s=30.0), replace(OLD, since_s=2.0, until_s=10.0)]
    assert signature(keys, at_s) == signature([key], at_s)


def test_a_signer_is_never_built_without_a_key() -> None:
    with pytest.raises(ValueError, match="no key"):
        StandardSigner([])


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(-inf, inf)], None),
        ([(-inf, 5.0), (5.0, inf)], None),
        ([(3.0, inf), (-inf, 5.0)], None),
        ([(-inf, 5.0), (6.0, inf)], (5.0, 6.0)),
        ([(-inf, 5.0)], (5.0, inf)),
        ([(5.0, inf)], (1.0, 5.0)),
        ([(0.5, inf)], None),
        ([(-inf, 0.5), (0.7, inf)], None),
        ([(-inf, 9.0), (1.0, 2.0), (9.5, inf)], (9.0, 9.5)),
        ([], (1.0, inf)),
    ],
)
def test_the_first_time_from_now_on_without_a_key_is_found(
    spans: list[tuple[float, float]], expected: tuple[float, float] | None
) -> None:
    assert gap([SigningKey(b"k", None, *span) for span in spans], from_s=1.0) == expected


def test_of_keys_that_begin_together_the_first_is_the_newest() -> None:
    assert active([NEW, OLD], 0).keys == (NEW, OLD)


def test_without_a_key_the_headers_are_the_id_and_the_timestamp_or_none() -> None:
    assert dict(IdOnly().headers("evt_1", 7, BODY)) == {b"webhook-id": b"evt_1", b"webhook-timestamp": b"7"}
    assert NoSignature().headers("evt_1", 7, BODY) == ()


def test_a_key_shows_neither_in_its_name_nor_in_its_repr() -> None:
    for key in (standard_key(SECRET), standard_key(PAIR)):
        for shown in (repr(key), key.name):
            assert repr(key.secret) not in shown
            assert key.secret.hex()[:8] not in shown
    assert standard_key(SECRET).name != standard_key(PAIR).name
    assert len(standard_key(SECRET).name) == 12
