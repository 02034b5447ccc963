"""Decide which source reads a topic: by its name, or by a pattern that the source lists. Pure.

Invariant: a topic belongs to at most one source, and all pods with the same settings decide the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase, translate
from string import ascii_letters, digits
from typing import NamedTuple

RESERVED_PREFIX = "__"
"""The topics of Kafka itself begin with it: ``__consumer_offsets``, ``__transaction_state``."""
RESERVED_SUFFIXES = (".parked", ".again", ".control", ".attempts")
"""The topics that Hookferry writes end in one of these, whatever its group is."""
_CHARACTERS = f"{ascii_letters}{digits}._-"
_TOKENS = re.compile(r"\[!?.[^\]]*\]|.", re.DOTALL)
"""A class in brackets, or one character; as ``fnmatch`` reads them."""


class _Source(NamedTuple):
    """The topics of one source, split by what each text is."""

    names: tuple[str, ...]
    patterns: tuple[str, ...]
    excluded: tuple[str, ...]

    def takes(self, topic: str) -> bool:
        """Return True if a pattern matches the topic and no exclusion does."""
        return _matches(topic, self.patterns) and not _matches(topic, self.excluded)

    @property
    def expression(self) -> str:
        excluding = f"(?!{_any(self.excluded)})" if self.excluded else ""
        return f"{excluding}(?:{_any(self.patterns)})"


class TopicSelection:
    """The topics of all sources: names, patterns (``* ? [abc]``), and exclusions (``!`` in front).

    A name belongs to the source that lists it, whatever patterns match. If patterns of several sources
    match, the first source reads the topic. A pattern never matches a reserved name (``is_reserved``).
    """

    def __init__(self, sources: Mapping[str, Sequence[str]]) -> None:
        """``sources``: by name, the topics as they are written in the settings."""
        self._sources = {name: _split(texts) for name, texts in sources.items()}
        self._owners = {topic: name for name, source in self._sources.items() for topic in source.names}
        self.written = tuple(text for texts in sources.values() for text in texts)
        """Names, patterns and exclusions."""
        self.names = tuple(self._owners)
        self.patterns = tuple(text for source in self._sources.values() for text in source.patterns)

    def adopt(self, other: TopicSelection) -> None:
        """Decide as another selection does from now on."""
        self._sources, self._owners = other._sources, other._owners
        self.written, self.names, self.patterns = other.written, other.names, other.patterns

    def source_of(self, topic: str) -> str | None:
        """Return the name of the source that reads the topic; None if no source does."""
        return self._owners.get(topic) or next(iter(self.takers(topic)), None)

    def takers(self, topic: str) -> list[str]:
        """Return the sources whose patterns take the topic; the first one reads it."""
        if topic in self._owners or is_reserved(topic):
            return []
        return [name for name, source in self._sources.items() if source.takes(topic)]

    def __contains__(self, topic: object) -> bool:
        """Return True if a source reads the topic."""
        return isinstance(topic, str) and self.source_of(topic) is not None

    def select(self, topics: Iterable[str]) -> frozenset[str]:
        """Return those of these topics that a source reads."""
        return frozenset(topic for topic in topics if topic in self)

    def awaited(self, topics: Collection[str]) -> list[str]:
        """Return the patterns that take none of these topics."""
        takers = {topic: self.takers(topic) for topic in topics}
        return [
            pattern
            for name, source in self._sources.items()
            for pattern in source.patterns
            if not any(name in takers[topic] and fnmatchcase(topic, pattern) for topic in topics)
        ]

    def left_out(self, topics: Iterable[str]) -> list[str]:
        """Return those of these topics that a pattern would take if they did not end as Hookferry's do."""
        return sorted(
            topic
            for topic in topics
            if topic.endswith(RESERVED_SUFFIXES)
            and not topic.startswith(RESERVED_PREFIX)
            and topic not in self._owners
            and any(source.takes(topic) for source in self._sources.values())
        )

    def expression(self, also: Iterable[str] = ()) -> re.Pattern[str]:
        """Return one expression that matches the topics of all sources and ``also``, and no other."""
        branches = [rf"{re.escape(name)}\Z" for name in (*self.names, *also)]
        if self.patterns:
            ends = "|".join(map(re.escape, RESERVED_SUFFIXES))
            by_pattern = "|".join(source.expression for source in self._sources.values() if source.patterns)
            branches.append(rf"(?!{RESERVED_PREFIX})(?!.*(?:{ends})\Z)(?:{by_pattern})")
        return re.compile("|".join(branches))

    def example(self, source: str) -> str:
        """Return a topic that the source reads, or that its first pattern matches; for samples."""
        names, patterns, _ = self._sources[source]
        return names[0] if names else "".join(map(_example, _TOKENS.findall(patterns[0])))


def is_pattern(text: str) -> bool:
    """Return True if a text is a pattern and not the name of a topic."""
    return any(character in text for character in "*?[")


def is_reserved(topic: str) -> bool:
    """Return True if no pattern matches the topic: it is Kafka's own, or is named as Hookferry's are."""
    return topic.startswith(RESERVED_PREFIX) or topic.endswith(RESERVED_SUFFIXES)


def globs_overlap(one: str, other: str) -> bool:
    """Return True if there is a topic name that both globs match."""
    left, right = [*_TOKENS.findall(one), ""], [*_TOKENS.findall(other), ""]
    places, seen = [(0, 0)], set[tuple[int, int]]()
    while places:
        row, column = place = places.pop()
        if place in seen:
            continue
        seen.add(place)
        mine, theirs = left[row], right[column]
        if not mine and not theirs:
            return True
        if mine == "*" or (theirs == "*" and mine):
            places.append((row + 1, column))
        if theirs == "*" or (mine == "*" and theirs):
            places.append((row, column + 1))
        if mine and theirs and _share_a_character(mine, theirs):
            places.append((row + 1, column + 1))
    return False


def covers(one: str, other: str) -> bool:
    """Return True if the glob ``one`` surely matches every topic name that ``other`` matches."""
    return one == other or (not any(character in one for character in "?[") and fnmatchcase(other, one))


def _split(texts: Sequence[str]) -> _Source:
    including = [text for text in texts if not text.startswith("!")]
    return _Source(
        tuple(text for text in including if not is_pattern(text)),
        tuple(text for text in including if is_pattern(text)),
        tuple(text[1:] for text in texts if text.startswith("!")),
    )


def _matches(topic: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(topic, glob) for glob in globs)


def _any(globs: Iterable[str]) -> str:
    return "|".join(map(translate, globs))


def _example(glob: str) -> str:
    return "x" if glob == "*" else next((c for c in f"x{_CHARACTERS}" if fnmatchcase(c, glob)), "x")


def _share_a_character(one: str, other: str) -> bool:
    return any(fnmatchcase(character, one) and fnmatchcase(character, other) for character in _CHARACTERS)
