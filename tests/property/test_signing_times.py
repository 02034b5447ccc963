"""Keys with times: every attempt is signed by exactly the keys of its time, whatever the clock does."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.signing import FORMS, HmacSigner, SigningKey, StandardSigner
from bridge.core.signing.keys import gap

INSTANTS = st.integers(0, 12)
SPANS = st.tuples(st.one_of(st.just(-inf), INSTANTS), st.one_of(st.just(inf), INSTANTS)).filter(
    lambda span: span[0] < span[1]
)
KEYS = st.lists(SPANS, min_size=1, max_size=4).map(
    lambda spans: [SigningKey(bytes([number]) * 32, None, *span) for number, span in enumerate(spans)]
)
ATTEMPTS = st.lists(INSTANTS, min_size=1, max_size=12)


def of_one(key: SigningKey, at_s: int) -> bytes:
    """The signature of a key alone."""
    return dict(StandardSigner([SigningKey(key.secret)]).headers("id", at_s, b"body"))[b"webhook-signature"]


@given(KEYS, ATTEMPTS)
def test_an_attempt_is_signed_by_all_keys_of_its_time_and_no_others(
    keys: list[SigningKey], attempts: list[int]
) -> None:
    signer = StandardSigner(keys)
    for at_s in attempts:
        signatures = dict(signer.headers("id", at_s, b"body"))[b"webhook-signature"].split()
        by = [key for key in keys if of_one(key, at_s) in signatures]
        assert len(by) == len(signatures) > 0
        if expected := [key for key in keys if key.signs_at(at_s)]:
            assert by == expected
            newest = max(expected, key=lambda key: key.since_s)
            assert signatures[0] == of_one(newest, at_s)
            assert signer.newest_key == newest.name
        else:
            assert len(by) == 1


@given(KEYS, ATTEMPTS)
def test_a_form_with_one_signature_is_signed_by_the_newest_key(
    keys: list[SigningKey], attempts: list[int]
) -> None:
    signer = HmacSigner(FORMS["github"], keys)
    for at_s in attempts:
        given_headers = signer.headers("id", at_s, b"body")
        newest = next(key for key in keys if key.name == signer.newest_key)
        alone = HmacSigner(FORMS["github"], [SigningKey(newest.secret)])
        assert given_headers == alone.headers("id", at_s, b"body")


@given(KEYS, INSTANTS)
def test_a_gap_is_found_exactly_if_at_some_time_no_key_signs(keys: list[SigningKey], from_s: int) -> None:
    halves = [from_s + step / 2 for step in range(40)]
    unsigned = [at_s for at_s in halves if not any(key.signs_at(at_s) for key in keys)]
    between = gap(keys, from_s)
    assert (between is not None) is bool(unsigned)
    if between is not None:
        assert between[0] == unsigned[0]
