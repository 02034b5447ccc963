"""Decode only some fields of a record, and check the others without building their values.

A ``PartPlan`` is compiled once per schema and set of paths. Invariant: it accepts only bytes that the plan
for the whole value accepts too, so a field that is left out never changes what becomes of a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from functools import partial
from itertools import groupby
from struct import error
from typing import Any

from bridge.formats.avro.bounds import MalformedBytes
from bridge.formats.avro.decoder import ARRAY, RECORD, Plan, Step, read_block, read_record
from bridge.formats.avro.skipped import Dropped, Move, Skipped, pattern_runs
from bridge.formats.non_finite import has_non_finite
from bridge.model import FieldSet

Tree = Mapping[str, "Tree | None"]
"""The fields of a record to decode, by name; None for all of a field."""

_DEEPEST = 90
"""Levels that are read in part. A pattern may have 100 more, together fewer than ``MAX_NESTING``."""


class PartPlan:
    """Decodes some fields of the values of one schema, which is a record."""

    def __init__(self, plan: Plan, paths: FieldSet) -> None:
        """``paths`` may name fields that the schema does not have."""
        self._compiler = _Compiler(plan.has_fractions)
        self._has_fractions = plan.has_fractions
        self._moves = self._compiler.moves(plan.root.more, _tree(paths))

    def read(self, data: bytes, at: int) -> dict[str, Any]:
        """Decode the requested fields of the value from ``at`` to the end of the data.

        A record on the way to a requested field contains only what is requested. Raises ``MalformedBytes``
        for all that the plan for the whole value refuses, and for some values that only it can decide about.
        """
        fields: dict[str, Any] = {}
        try:
            for move in self._moves:
                at = move.read(fields, data, at, 0)
        except (IndexError, ValueError, error) as exc:
            raise MalformedBytes("the value does not follow its schema") from exc
        if at != len(data):
            raise MalformedBytes("the value does not end where the bytes end")
        if self._has_fractions and has_non_finite(fields):
            raise MalformedBytes("a number is not finite")
        return fields


def _tree(paths: FieldSet) -> Tree:
    tree: dict[str, Any] = {}
    for path in sorted(paths, key=len, reverse=True):  # a shorter path replaces the longer ones below it
        *holders, last = path
        inner = tree
        for name in holders:
            inner = inner.setdefault(name, {})
        inner[last] = None
    return tree


class _Use(Enum):
    """What a field is needed for."""

    KEEP, PART, SKIP = range(3)


def _use_of(step: Step, asked: Tree) -> _Use:
    if step.name not in asked:
        return _Use.SKIP
    return _Use.KEEP if asked[step.name] is None or step.kind != RECORD else _Use.PART


class _Compiler:
    """Compiles the fields of records to moves; the records that are left out only once each."""

    def __init__(self, has_fractions: bool) -> None:
        self._has_fractions = has_fractions
        self._left_out: dict[int, list[Move]] = {}
        self._patterns = 0

    def moves(self, steps: list[Step], asked: Tree) -> list[Move]:
        """Return the moves for the fields of a record."""
        moves: list[Move] = []
        for use, run in groupby(steps, lambda step: _use_of(step, asked)):
            if use is _Use.KEEP:
                moves.append(_Kept(list(run)))
            elif use is _Use.SKIP:
                moves += self._skips(list(run))
            else:
                moves += [
                    _Inner(step, self.moves(step.more, asked[step.name] or {}), kept=True) for step in run
                ]
        return moves

    def _skips(self, steps: list[Step]) -> Iterator[Move]:
        """Yield the moves for fields that are left out: patterns, and what no pattern can describe."""
        for pattern, run in pattern_runs(steps):
            if pattern:
                self._patterns += 1
                dropped = Dropped(run, has_fractions=self._has_fractions)
                yield Skipped(pattern, dropped, self._patterns, partial(self._split, run))
            else:
                yield from map(self._skip, run)

    def _split(self, steps: list[Step]) -> list[Move]:
        """Return the moves for fields that their pattern did not match: a list is the usual cause."""
        if len(steps) == 1:
            return [self._skip(steps[0])]
        lists = (place for place, step in enumerate(steps) if step.kind == ARRAY)
        middle = next(lists, len(steps) // 2)
        parts = steps[:middle], steps[middle : middle + 1], steps[middle + 1 :]
        return [move for part in parts for move in self._skips(part)]

    def _skip(self, step: Step) -> Move:
        if step.kind == RECORD:
            return _Inner(step, self._all_skipped(step.more), kept=False)
        if step.kind == ARRAY and step.more[1]:
            item = step.more[0]
            is_record = item.kind == RECORD and item.null < 0
            return _Items(step, self._all_skipped(item.more) if is_record else list(self._skips([item])))
        return Dropped([step], has_fractions=self._has_fractions)

    def _all_skipped(self, steps: list[Step]) -> list[Move]:
        moves = self._left_out.get(id(steps))  # the steps live as long as the plan
        if moves is None:
            moves = self._left_out[id(steps)] = []  # before its fields, one of which may be this type
            moves += self._skips(steps)
        return moves


class _Kept:
    """Consecutive fields that are requested."""

    __slots__ = ("_steps",)

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps

    def read(self, fields: dict[str, Any], data: bytes, at: int, depth: int) -> int:
        """See ``Move``."""
        return read_record(fields, self._steps, data, at, depth)


class _Inner:
    """A record of which a part is requested, or nothing."""

    __slots__ = ("_kept", "_moves", "_name", "_null")

    def __init__(self, step: Step, moves: list[Move], *, kept: bool) -> None:
        self._name, self._null, self._moves, self._kept = step.name, step.null, moves, kept

    def read(self, fields: dict[str, Any], data: bytes, at: int, depth: int) -> int:
        """See ``Move``."""
        if self._null >= 0:
            branch = data[at]
            at += 1
            if branch == self._null:
                if self._kept:
                    fields[self._name] = None
                return at
            _check_branch(branch, self._null)
        _check_depth(depth)
        inner: dict[str, Any] = {}
        for move in self._moves:
            at = move.read(inner, data, at, depth + 1)
        if self._kept:
            fields[self._name] = inner
        return at


class _Items:
    """An array that is left out; its items take at least one byte each."""

    __slots__ = ("_least_bytes", "_moves", "_null")

    def __init__(self, step: Step, moves: list[Move]) -> None:
        self._null, self._moves, self._least_bytes = step.null, moves, step.more[1]

    def read(self, fields: dict[str, Any], data: bytes, at: int, depth: int) -> int:
        """See ``Move``."""
        if self._null >= 0:
            branch = data[at]
            at += 1
            if branch == self._null:
                return at
            _check_branch(branch, self._null)
        _check_depth(depth)
        nothing: dict[str, Any] = {}
        while count := data[at]:
            if count & 0x81:  # two bytes or more, or negative
                count, at = read_block(data, at, self._least_bytes)
                if not count:
                    return at
            else:  # at most 63 items, which cannot go far past the end
                count >>= 1
                at += 1
            for _ in range(count):
                for move in self._moves:
                    at = move.read(nothing, data, at, depth + 1)
        return at + 1


def _check_branch(branch: int, null: int) -> None:
    if branch != 2 - null:
        raise MalformedBytes("a union of two has no such branch")


def _check_depth(depth: int) -> None:
    if depth > _DEEPEST:
        raise MalformedBytes(f"values are nested more than {_DEEPEST} deep")
