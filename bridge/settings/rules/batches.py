"""Rules for several events in one request: what the receiver, the body, the URL and the headers allow. Pure.

Invariant: no part of a request to an endpoint with ``batch`` depends on one event, but for the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bridge.receivers import PRESETS
from bridge.rendering.escape import Kind, kind_of_content
from bridge.rendering.request import is_template
from bridge.settings.models.request import JSON
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree

_NOT_JSON = {
    "cloudevents-binary": "has headers for one event",
    "fineract-hook": "has headers for one event",
    "none": "has no events",
}
"""The bodies that cannot be batched, and why."""
_ONE_EACH = "remove batch, so that each event is a request of its own"


def _batched(tree: Tree) -> Iterator[str]:
    return (name for name in tree.names(("endpoints",)) if isinstance(_batch(tree, name), dict))


def _batch(tree: Tree, name: str) -> object:
    return tree.get(("endpoints", name, "batch"))


def check_receivers(tree: Tree) -> Iterator[Problem]:
    """Check that the receiver accepts several events in one request."""
    for name in _batched(tree):
        preset = PRESETS.get(tree.text(("endpoints", name, "preset")) or "standard")
        path: Path = ("endpoints", name, "batch")
        if preset is None:
            continue  # reported by the validation of the value itself
        if not preset.batches:
            cause = (
                f"is not possible with preset {preset.name}: a {preset.receiver} takes one event per request"
            )
            yield tree.problem(path, cause, "remove it", key=True)


def check_bodies(tree: Tree) -> Iterator[Problem]:
    """Check that the body of one event can be a part of a body with several: that it is JSON."""
    for name in _batched(tree):
        path: Path = ("endpoints", name, "body")
        body = tree.get(path)
        if isinstance(body, str) and body in _NOT_JSON:
            remedy = f"use another body, such as standard, or {_ONE_EACH}"
            yield tree.problem(path, f"{_NOT_JSON[body]}, so it cannot be batched", remedy)
        content_type = tree.text((*path, "content_type")) if isinstance(body, dict) else None
        if content_type is not None and kind_of_content(content_type) is not Kind.JSON:
            cause = "is not JSON, so the body cannot be batched"
            yield tree.problem((*path, "content_type"), cause, f"use {JSON}, or {_ONE_EACH}")


def check_templates(tree: Tree) -> Iterator[Problem]:
    """Check that neither the URL nor a header changes with the event."""
    for name in _batched(tree):
        paths: list[Path] = [("endpoints", name, "url")]
        paths += [
            ("endpoints", name, "headers", header) for header in tree.names(("endpoints", name, "headers"))
        ]
        for path in paths:
            if is_template(tree.text(path) or ""):
                cause = "changes with the event, and a batch has several events"
                yield tree.problem(path, cause, f"remove the {{{{ … }}}}, or {_ONE_EACH}")


def check_content_encoding(tree: Tree) -> Iterator[Problem]:
    """Check that only one setting decides about the header ``content-encoding``."""
    for name in tree.names(("endpoints",)):
        for header in tree.names(("endpoints", name, "headers")):
            path: Path = ("endpoints", name, "headers", header)
            if header.lower() == "content-encoding" and tree.has(("endpoints", name, "compress")):
                yield tree.problem(path, "is set by compress", "keep one of the two", key=True)


def check_compressed_size(tree: Tree) -> Iterator[Problem]:
    """Check that the size from which bodies are compressed is not all that is set: nothing is compressed."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "compress_above_bytes")
        compress = ("endpoints", name, "compress")
        if tree.has(path) and not tree.has(compress) and not tree.is_broken(compress):
            yield tree.problem(path, "has no effect without compress", "add compress: gzip or zstd", key=True)


RULES: tuple[Callable[[Tree], Iterator[Problem]], ...] = (
    check_receivers,
    check_bodies,
    check_templates,
    check_content_encoding,
    check_compressed_size,
)
