"""Skip fields of a record at the speed of regular expressions: one expression for each run of fields.

The encoding of most types is a regular language: a length of one byte and that many bytes, a number of at
most nine bytes, null or a value. Invariant: a pattern matches only bytes that the steps accept too. What
it does not match (a long text, one that is not ASCII, a longer list, damage) is read by the steps, which
decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple, Protocol

from bridge.formats.avro.bounds import MalformedBytes
from bridge.formats.avro.decoder import (
    ARRAY,
    BOOLEAN,
    BYTES,
    DECIMAL,
    DOUBLE,
    ENUM,
    LONG,
    NULL,
    RECORD,
    STRING,
    Step,
    read_record,
)
from bridge.formats.non_finite import has_non_finite

_LONGEST_TEXT = 40
"""Characters: dates, names and UUIDs have fewer. Each more makes every pattern larger."""
_LONGEST_NUMBER = 16
"""Bytes of a decimal, 38 digits."""
_MOST_FIELDS = 48
"""Fields in one pattern, with those of records inside it."""
_WARM_UP = 64
"""Uses of a run before its pattern is compiled, which takes up to 25 ms: rare types do without it."""
_MOST_MISSES = 64
"""Records that a pattern does not match before it is given up."""


class _Pattern(NamedTuple):
    """A regular expression for a value, and how many fields it describes."""

    text: str
    fields: int


def _one_of(values: Iterable[int]) -> str:
    return "[" + "".join(rf"\x{value:02x}" for value in values) + "]"


def _counted(unit: str, most: int) -> str:
    """Return a pattern for a length in one byte and so many units; a length is written as its double."""
    return "(?>" + "|".join(rf"\x{2 * n:02x}{unit}{{{n}}}" for n in range(most + 1)) + ")"


_PATTERNS = {
    STRING: _counted(r"[\x00-\x7f]", _LONGEST_TEXT),
    DECIMAL: _counted(".", _LONGEST_NUMBER),
    BYTES: _counted(".", _LONGEST_TEXT),
    LONG: r"[\x80-\xff]{0,8}[\x00-\x7f]",  # the tenth byte may have only one bit
    BOOLEAN: ".",
    NULL: "",
    DOUBLE: r".{6}(?>[\x00-\xef].|[\xf0-\xff][^\x7f\xff])",  # not 11 ones in the exponent
}


def pattern_runs(steps: list[Step]) -> Iterator[tuple[str, list[Step]]]:
    """Yield consecutive fields with the pattern that matches all of them; "" if there is none."""
    run, patterns, size = list[Step](), list[str](), 0
    for step in steps:
        pattern = _pattern(step, _MOST_FIELDS)
        if run and (pattern is None or size + pattern.fields > _MOST_FIELDS):
            yield _joined(patterns), run
            run, patterns, size = [], [], 0
        if pattern is None:
            yield "", [step]
            continue
        run.append(step)
        patterns.append(pattern.text)
        size += pattern.fields
    if run:
        yield _joined(patterns), run


def _pattern(step: Step, room: int) -> _Pattern | None:
    """Return the pattern of a field; None if it has none, or describes more than ``room`` fields."""
    if step.kind == RECORD:
        inner = _record(step.more, room - 1)
    elif step.kind == ENUM and step.more:  # the first 64 symbols
        inner = _Pattern(_one_of(range(0, 2 * min(len(step.more), 64), 2)), 1)
    elif step.kind == ARRAY and step.more[1]:
        inner = _array(step.more[0], room - 1)
    else:
        inner = _Pattern(_PATTERNS[step.kind], 1) if step.kind in _PATTERNS else None
    if inner is None or step.null < 0:
        return inner
    return _Pattern(rf"(?>\x{step.null:02x}|\x{2 - step.null:02x}{inner.text})", inner.fields)


def _record(steps: list[Step], room: int) -> _Pattern | None:
    """Return the pattern of a record. ``room`` ends the search in a record that contains itself."""
    texts, size = list[str](), 1
    for step in steps:
        pattern = None if size > room else _pattern(step, room - size)
        if pattern is None:
            return None
        texts.append(pattern.text)
        size += pattern.fields
    return _Pattern(_joined(texts), size)


def _array(item: Step, room: int) -> _Pattern:
    """Return the pattern of a list with no item, or with one item in a block."""
    one = _pattern(item, room) if room > 0 else None
    if one is None:
        return _Pattern(r"\x00", 1)
    return _Pattern(rf"(?>\x00|\x02{one.text}\x00)", 1 + one.fields)


def _joined(texts: list[str]) -> str:
    """Join patterns; equal ones in a row are written once, which makes compiling them faster."""
    runs = ((text, len(list(run))) for text, run in groupby(texts))
    return "".join(text if count == 1 else f"(?:{text}){{{count}}}" for text, count in runs)


class Move(Protocol):
    """What to do with the next fields of a record."""

    def read(self, fields: dict[str, Any], data: bytes, at: int, depth: int) -> int:
        """Read the fields, add those that are requested to ``fields``, and return their end."""
        ...


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode(), re.DOTALL)


class Dropped:
    """Consecutive fields that are left out, and that the steps read (a ``Move``)."""

    __slots__ = ("_has_fractions", "_steps")

    def __init__(self, steps: list[Step], *, has_fractions: bool) -> None:
        self._steps = steps
        self._has_fractions = has_fractions

    def read(self, fields: dict[str, Any], data: bytes, at: int, depth: int) -> int:
        """See ``Move``."""
        values: dict[str, Any] = {}
        at = read_record(values, self._steps, data, at, depth)
        if self._has_fractions and has_non_finite(values):
            raise MalformedBytes("a number is not finite")
        return at


class Skipped:
    """Consecutive fields that are left out, and that one pattern usually matches (a ``Move``).

    If it does not match them, they are read in parts, which have other patterns. After
    ``_MOST_MISSES`` they always are: then the data usually look different from what the pattern describes.
    """

    __slots__ = ("_match", "_misses", "_parts", "_pattern", "_split", "_unmatched", "_warm_up")

    def __init__(
        self, pattern: str, unmatched: Move, number: int, split: Callable[[], Sequence[Move]]
    ) -> None:
        """``unmatched`` reads the fields without the pattern, ``split`` returns the moves for their parts.

        ``number`` is the pattern's in its plan: no two of them are compiled for the same record, so that
        none is held up for long.
        """
        self._pattern = pattern
        self._unmatched = unmatched
        self._warm_up = _WARM_UP + number
        self._misses = 0
        self._split = split
        self._parts: Sequence[Move] = ()
        self._match: Callable[[bytes, int], re.Match[bytes] | None] | None = None

    def read(self, fields: dict[str, Any], data: bytes, at: int, depth: int) -> int:
        """See ``Move``."""
        if self._match is not None:
            match = self._match(data, at)
            if match is not None:
                return match.end()
            self._miss()
        elif not self._parts:
            self._warm_up -= 1
            if self._warm_up <= 0:
                self._match = _compiled(self._pattern).match
            return self._unmatched.read(fields, data, at, depth)
        for part in self._parts:
            at = part.read(fields, data, at, depth)
        return at

    def _miss(self) -> None:
        self._parts = self._parts or self._split()
        self._misses += 1
        if self._misses >= _MOST_MISSES:
            self._match = None
