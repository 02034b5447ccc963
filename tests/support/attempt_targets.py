"""Targets of attempts, for property tests of what is kept of an attempt."""

from __future__ import annotations

from itertools import product

from hypothesis import strategies as st

from bridge.pipeline.target import Target
from bridge.rendering import Headers


def every_target(headers: Headers) -> list[Target]:
    """Return a target with these headers, of which the first is secret, for each way to keep bodies."""
    secrets = frozenset({b"x-key"})
    return [
        Target(
            "crm", headers, secret, 7.0, True, kept_success=success, kept_failure=failure, scrub_bodies=scrub
        )
        for success, failure, scrub, secret in product(
            (-1, 20, 100), (-1, 20, 100), (False, True), (secrets, secrets | {b"x-token"})
        )
    ]


def targets(headers: Headers) -> st.SearchStrategy[Target]:
    """Return one of them."""
    return st.sampled_from(every_target(headers))
