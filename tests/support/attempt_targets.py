"""Targets of attempts, for property tests of what is kept of an attempt."""

from __future__ import annotations

from hypothesis import strategies as st

from bridge.pipeline.attempt_log import Target
from bridge.rendering import Headers


def targets(headers: Headers) -> st.SearchStrategy[Target]:
    """Return targets with these headers, of which the first is secret, and each way to keep bodies."""
    return st.builds(
        lambda success, failure, scrub, secrets: Target(
            "crm", headers, secrets, 7.0, True, kept_success=success, kept_failure=failure, scrub_bodies=scrub
        ),
        st.sampled_from([-1, 20, 100]),
        st.sampled_from([-1, 20, 100]),
        st.booleans(),
        st.sampled_from([frozenset({b"x-key"}), frozenset({b"x-key", b"x-token"})]),
    )
