"""The prepared HMAC is that of Python's ``hmac``, for every algorithm, key and message."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.signing.mac import mac, prepare


@given(
    st.binary(min_size=1, max_size=200),
    st.binary(max_size=400),
    st.sampled_from(["sha1", "sha256", "sha384", "sha512"]),
)
def test_a_prepared_key_gives_the_mac_of_the_standard_library_each_time(
    secret: bytes, message: bytes, algorithm: str
) -> None:
    key = prepare(secret, algorithm)
    for text in (message, b"", message):
        assert mac(key, text) == hmac.digest(secret, text, algorithm)
