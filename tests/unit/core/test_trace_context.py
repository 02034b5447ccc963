"""The W3C Trace Context: what is valid, what is passed on, and what begins a trace of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.trace_context import TraceContext, begin_context, read_context

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01".encode()


def test_a_valid_parent_is_continued_with_a_span_of_ours() -> None:
    parent = read_context(VALID, b"vendor=a,other=b")
    assert parent is not None
    child = parent.child(0x11)
    assert child.headers() == (
        (b"traceparent", f"00-{TRACE}-0000000000000011-01".encode()),
        (b"tracestate", b"vendor=a,other=b"),
    )
    assert child.trace_hex == TRACE


@pytest.mark.parametrize(("flags", "sent"), [("00", b"-00"), ("01", b"-01"), ("03", b"-03"), ("ff", b"-03")])
def test_the_decision_to_record_is_that_of_the_parent_and_unknown_flags_are_not_passed(
    flags: str, sent: bytes
) -> None:
    context = read_context(f"00-{TRACE}-{SPAN}-{flags}".encode(), None)
    assert context is not None
    ((_, value),) = context.headers()
    assert value.endswith(sent)


@pytest.mark.parametrize(
    "damaged",
    [
        None, b"", b"00", VALID.upper(), b"ff" + VALID[2:], VALID + b"-more", VALID[:-1], b"\xff" * 55,
        f"00-{'0' * 32}-{SPAN}-01".encode(), f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE}-{SPAN}-0g".encode(), f"00 {TRACE} {SPAN} 01".encode(),
    ],
)  # fmt: skip
def test_a_damaged_parent_is_none(damaged: bytes | None) -> None:
    assert read_context(damaged, b"vendor=a") is None


def test_a_newer_version_is_read_as_far_as_this_one_goes() -> None:
    context = read_context(b"01" + VALID[2:] + b"-what-comes", None)
    assert context is not None
    assert context.headers()[0][1] == VALID


@pytest.mark.parametrize("state", [b"x" * 513, b"a=1\r\nx: y", b"\xc3\xa4=1", None, b""])
def test_a_state_that_cannot_be_a_header_is_dropped_and_the_parent_kept(state: bytes | None) -> None:
    context = read_context(VALID, state)
    assert context is not None
    assert [name for name, _ in context.headers()] == [b"traceparent"]


@given(st.binary(max_size=80), st.binary(max_size=600))
def test_no_bytes_fail_or_break_out_of_a_header(parent: bytes, state: bytes) -> None:
    for given_parent in (parent, VALID):
        context = read_context(given_parent, state)
        for _, value in context.headers() if context else ():
            assert value.isascii()
            assert b"\n" not in value
            assert b"\r" not in value


def test_attempts_of_an_event_without_a_parent_share_a_trace_and_its_decision() -> None:
    first = begin_context("msg_1", 0.5)
    assert first == begin_context("msg_1", 0.5)
    assert first.trace_id != begin_context("msg_2", 0.5).trace_id
    assert 0 < first.trace_id < 1 << 128
    assert first.span_id == 0


def test_the_ratio_is_the_share_of_events_that_is_recorded() -> None:
    def recorded(ratio: float) -> int:
        return sum(begin_context(f"msg_{number}", ratio).sampled for number in range(2000))

    assert (recorded(0), recorded(1)) == (0, 2000)
    assert 400 < recorded(0.25) < 600


def test_a_context_without_a_state_has_one_header() -> None:
    assert len(TraceContext(1, 2, sampled=True).headers()) == 1
