"""Check the settings of the export of traces: the URL of the collector, and its file of authorities."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.settings.problem import Problem
from bridge.settings.reading.tree import Tree
from bridge.settings.rules.logins import check_file, check_service_url


def check_tracing(tree: Tree) -> Iterator[Problem]:
    """Check that the URL of the collector is valid, sends no login unencrypted, and that its file exists."""
    yield from check_file(tree, ("tracing", "ca_file"))
    yield from check_service_url(
        tree,
        ("tracing", "endpoint"),
        login="set headers instead",
        sends="headers" if tree.names(("tracing", "headers")) else None,
    )


RULES = (check_tracing,)
