"""Secrets are removed from texts: in every form, cut off or not, and nothing else is changed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.telemetry.scrub import MASK, Scrubber
from bridge.telemetry.secret_forms import Secret
from tests.support.canaries import ENCODERS, find_canaries

SECRET = 'p@ss/w+rd &"quoted"\\ 7f3a-end'
CANARY = "xK9-canary/7f3a+5c1e=8d4b&Zz"
PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60)
ENCODER = st.sampled_from(list(ENCODERS.values()))
OUTER_ENCODER = st.sampled_from(
    [
        encoder
        for name, encoder in ENCODERS.items()
        if "base64" not in name and not name.startswith(("hex", "utf-16"))
    ]
)


PIECES = [
    b"&#1114112;", b"&#xd800;", b"&#0;", b"&amp", b"&amp;", b"&#x;", b"%", b"%4", b"%41", b"\\", b"\\u",
    b"\\u00", b"\\ud83d", b"\\ude00", b"\\ud83d\\ude00", b"\\u{110000}", b"\\u{41}", b"\\x", b"\\x4", b"\\n",
    b"\r\n", b" ",
    CANARY[:9].encode(), CANARY[9:].encode(), SECRET[:7].encode(),
]  # fmt: skip
"""Pieces of encodings, complete or not."""


def knows(*secrets: str, exact: bool = False) -> Scrubber:
    scrubber = Scrubber()
    scrubber.learn(Secret(secret, exact) for secret in secrets)
    return scrubber


@pytest.mark.parametrize("form", ENCODERS)
@pytest.mark.parametrize("secret", [SECRET, CANARY, "päss-wörd-7f3a-ß", "0123456789"])
def test_a_secret_is_removed_in_every_form(form: str, secret: str) -> None:
    if form == "utf-16" and not secret.isascii():
        pytest.skip("only ASCII is searched in UTF-16")
    text = f"status 400: got {ENCODERS[form](secret)} from you"
    clean = knows(secret).scrub(text)
    assert clean.startswith("status 400: got ")
    assert clean.endswith(" from you")
    assert MASK in clean
    assert ENCODERS[form](secret)[4:-4] not in clean


@given(PRINTABLE, ENCODER, OUTER_ENCODER, PRINTABLE, PRINTABLE)
def test_no_encoding_of_an_encoding_hides_a_secret(
    secret: str,
    inner: Callable[[str], str],
    outer: Callable[[str], str],
    before: str,
    after: str,
) -> None:
    """The search of the tests, which shares no code with the product, finds nothing."""
    assume(len(set(secret)) > 4)
    hidden = outer(inner(secret))
    clean = knows(secret).scrub(f"{before} {hidden} {after}")
    around = find_canaries(f"{before} {after}".encode(), [secret])
    assert around or not find_canaries(clean.encode(), [secret])


@pytest.mark.parametrize("user", ["", "u", "us", "use", "a-user"])
def test_a_password_is_found_inside_the_base64_of_a_login(user: str) -> None:
    login = base64.b64encode(f"{user}:{CANARY}:more".encode()).decode()
    assert knows(CANARY).scrub(f"Basic {login} is wrong") == f"Basic {MASK} is wrong"


@pytest.mark.parametrize("kept", range(6, len(CANARY)))
@pytest.mark.parametrize("end", ["", "…", "..."])
def test_a_secret_that_was_cut_off_is_removed_at_the_cut(kept: int, end: str) -> None:
    assert knows(CANARY).scrub(f"token {CANARY[:kept]}{end}") == f"token {MASK}{end}"


@pytest.mark.parametrize("kept", range(12, len(CANARY)))
def test_the_beginning_of_a_secret_is_removed_wherever_a_receiver_cut_it(kept: int) -> None:
    assert knows(CANARY).scrub(f"[{CANARY[:kept]}] is no token") == f"[{MASK}] is no token"


@pytest.mark.parametrize("most", range(1, 80))
def test_the_head_of_a_text_contains_no_part_of_a_secret_at_its_end(most: int) -> None:
    body = (f"you sent {CANARY * 100} and more").encode()
    head = knows(CANARY).head(body, most)
    assert len(head) <= most
    assert CANARY[:6].encode() not in head
    assert head == (b"you sent " + b"***")[:most] or head.startswith(b"you sent ***"), head


def test_the_head_is_masked_where_many_secrets_leave_room_for_the_end_of_the_searched_part() -> None:
    """Masks are shorter than secrets: what is shown reaches to where the search ended."""
    secret = "S" + "abcdefghij" * 120
    for before in range(1100):
        head = knows(secret).head(b"-" * before + secret.encode(), 200)
        assert b"abcdefgh" not in head


@given(st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))
def test_any_bytes_can_be_searched(raw: bytes) -> None:
    clean = knows(SECRET, CANARY).scrub_bytes(raw)
    assert clean is raw or MASK.encode() in clean


def test_a_text_without_a_secret_is_returned_as_it_is() -> None:
    text, raw = "status 400: no such loan", b"\xff\xfe nothing"
    assert knows(SECRET).scrub(text) is text
    assert knows(SECRET).scrub_bytes(raw) is raw
    assert Scrubber().scrub(text) is text


def test_a_value_in_which_only_the_scheme_is_common_does_not_lose_its_words() -> None:
    scrubber = knows("Bearer 7f3a9-5c1e2", exact=True)
    assert scrubber.scrub("Bearer authentication required") == "Bearer authentication required"
    assert scrubber.scrub("got Bearer 7f3a9-5c1e2.") == f"got {MASK}."


@pytest.mark.parametrize("secret", ["", "a", "short"])
def test_a_secret_of_fewer_than_six_characters_is_not_searched(secret: str) -> None:
    assert knows(secret).scrub(f"a short text: {secret}") == f"a short text: {secret}"


def test_overlapping_secrets_are_removed_together() -> None:
    assert knows("abcdefgh", "efghijkl").scrub("x abcdefghijkl y") == f"x {MASK} y"


def test_the_last_four_tokens_of_a_login_are_removed_and_older_ones_forgotten() -> None:
    scrubber = Scrubber()
    tokens = [f"token-{number}-{'x' * number}" for number in range(6)]
    for token in tokens:
        scrubber.learn_token("crm", token)
    shown = [scrubber.scrub(f"[{token}]") for token in tokens]
    assert shown == [f"[{token}]" for token in tokens[:2]] + [f"[{MASK}]"] * 4


def test_a_new_token_does_not_replace_the_secrets_of_the_configuration() -> None:
    scrubber = knows(CANARY)
    scrubber.learn_token("crm", "another-token")
    assert scrubber.scrub(f"{CANARY} another-token") == f"{MASK} {MASK}"


def test_a_json_document_stays_json() -> None:
    document = {"cause": f"got {CANARY}", "offset": 123456, "list": [CANARY, None, 1.5, {"a": True}]}
    clean = knows(CANARY, "123456").scrub_value(document)
    assert json.loads(json.dumps(clean)) == {
        "cause": f"got {MASK}", "offset": 123456, "list": [MASK, None, 1.5, {"a": True}],
    }  # fmt: skip


def test_an_object_with_a_secret_in_its_text_becomes_that_text() -> None:
    error = ValueError(f"no {CANARY}")
    assert knows(CANARY).scrub_value(error) == f"no {MASK}"
    assert Scrubber().scrub_value(error) is error


def test_a_lone_surrogate_does_not_prevent_the_search() -> None:
    assert knows(CANARY).scrub(f"\ud800 {CANARY}") == f"\ud800 {MASK}"


def test_every_pair_of_neighbouring_bytes_around_a_secret_stays() -> None:
    clean = knows(CANARY).scrub(f"a{CANARY}b{CANARY}c")
    assert [*pairwise(clean.split(MASK))] == [("a", "b"), ("b", "c")]
