"""Decode a payload at its first use: all of it, or the fields that the endpoints ask for.

Invariant: a reader gets all it names. If its paths are not among the asked ones, it gets everything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.core.asked_fields import covers
from bridge.model import WHOLE, FieldSet, PartialPayload

_NOT_READ = object()


class LazyPayload(PartialPayload):
    """A payload that is decoded once for all endpoints, and kept."""

    __slots__ = ("_asked", "_part", "_read", "_type", "_whole")

    def __init__(self, read: Callable[[FieldSet], Any], asked: Callable[[str], FieldSet], type_: str) -> None:
        """``read`` decodes at least these paths; ``asked`` returns those asked for of an event type."""
        self._read, self._asked, self._type = read, asked, type_
        self._whole = self._part = _NOT_READ

    def __call__(self) -> Any:
        """See ``PartialPayload``."""
        if self._whole is _NOT_READ:
            self._whole = self._read(WHOLE)
            self._part = _NOT_READ
        return self._whole

    def part(self, paths: FieldSet) -> Any:
        """See ``PartialPayload``."""
        asked = self._asked(self._type)
        if self._whole is not _NOT_READ or () in asked or not covers(asked, paths):
            return self()
        if self._part is _NOT_READ:
            self._part = self._read(asked)
        return self._part


class PayloadAgain(PartialPayload):
    """A payload that is decoded from the record at each use, and not kept (``Event.decode_again``)."""

    __slots__ = ("_payload",)

    def __init__(self, payload: Callable[[], LazyPayload]) -> None:
        self._payload = payload

    def __call__(self) -> Any:
        """See ``PartialPayload``."""
        return self._payload()()

    def part(self, paths: FieldSet) -> Any:
        """See ``PartialPayload``."""
        return self._payload().part(paths)
