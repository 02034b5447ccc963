"""Rules for the topics of the sources: names, patterns and exclusions that contradict each other. Pure.

Patterns of two sources may match the same topic; it is an error only if the later one can read nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from bridge.core.topic_selection import (
    RESERVED_PREFIX,
    RESERVED_SUFFIXES,
    covers,
    globs_overlap,
    is_pattern,
)
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree

_Texts = list[tuple[Path, str]]


def check_owners(tree: Tree) -> Iterator[Problem]:
    """Check that no topic or pattern is listed twice, and no topic is one that Hookferry writes."""
    group = tree.text(("group",))
    own = {f"{group}.{suffix}" for suffix in ("parked", "attempts", "control", "again")}
    owners: dict[str, str] = {}
    for name in tree.names(("sources",)):
        for path, text in tree.texts(("sources", name, "topics")):
            key = f"{name}{text}" if text.startswith("!") else text  # two sources may exclude the same
            if text in own:
                yield tree.problem(path, "is a topic that Hookferry itself writes", "remove it")
            elif key in owners:
                where = "twice in this source" if owners[key] == name else f"in source {owners[key]} too"
                yield tree.problem(path, f"is read {where}", "list each topic once")
            owners.setdefault(key, name)


def check_exclusions(tree: Tree) -> Iterator[Problem]:
    """Check that a source does not only exclude, excludes no topic it names, and excludes something."""
    for name in tree.names(("sources",)):
        path: Path = ("sources", name, "topics")
        including, excluding = _split(tree.texts(path))
        if excluding and not including:
            yield tree.problem(path, "only excludes, so nothing is read", "put a name or a pattern in front")
            continue
        for place, text in excluding:
            if not any(globs_overlap(text[1:], other) for _, other in including):
                yield tree.problem(place, "excludes nothing that this source reads", "correct or remove it")
        for place, text in including:
            culprit = next((out for _, out in excluding if fnmatchcase(text, out[1:])), None)
            if culprit is not None and not is_pattern(text):
                yield tree.problem(
                    place, f'is excluded by "{culprit}" of this source', "remove one of the two"
                )


def check_patterns(tree: Tree) -> Iterator[Problem]:
    """Check that each pattern can match a topic, and leaves some to it that earlier sources do not read."""
    earlier: list[tuple[str, str]] = []
    for name in tree.names(("sources",)):
        including, excluding = _split(tree.texts(("sources", name, "topics")))
        patterns = [(place, text) for place, text in including if is_pattern(text)]
        for place, text in patterns:
            owner = next((of for of, other in earlier if covers(other, text) and other != text), None)
            if text.startswith(RESERVED_PREFIX) or text.endswith(RESERVED_SUFFIXES):
                cause = (
                    "can match nothing: topics that begin with __ or end in .parked, .again, .control or"
                    " .attempts are"
                )
                yield tree.problem(place, f"{cause} read only if they are named", "name the topics")
            elif owner is not None:
                cause = f"can read nothing: source {owner}, which is listed before, reads all that it matches"
                yield tree.problem(place, cause, f"list this source before {owner}, or exclude it there")
        if not excluding:
            earlier += [(name, text) for _, text in patterns]


def _split(texts: _Texts) -> tuple[_Texts, _Texts]:
    """Return what a source includes and what it excludes, each with its path."""
    including = [(path, text) for path, text in texts if not text.startswith("!")]
    return including, [(path, text) for path, text in texts if text.startswith("!")]


RULES: tuple[Callable[[Tree], Iterator[Problem]], ...] = (check_owners, check_exclusions, check_patterns)
