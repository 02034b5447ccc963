"""Find a part of the wired application by its type, however deep, without naming the path to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any, TypeVar

Part = TypeVar("Part")


def part(root: object, kind: type[Part]) -> Part:
    """Return the only object of this type inside ``root``; fail if there is none, or several."""
    matches = parts(root, kind)
    assert len(matches) == 1, f"{len(matches)} of {kind.__name__} in {type(root).__name__}"
    return matches[0]


def parts(root: object, kind: type[Part]) -> list[Part]:
    """Return all objects of this type inside ``root``, including itself."""
    seen: dict[int, object] = {}
    waiting = [root]
    matches: list[Part] = []
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, str | bytes | int | float | type | None):
            continue
        seen[id(one)] = one
        if isinstance(one, kind):
            matches.append(one)
        waiting.extend(_held(one))
    return matches


def _held(one: object) -> Iterator[Any]:
    if isinstance(one, Mapping):
        yield from one.values()
    elif isinstance(one, list | tuple | set | frozenset):
        yield from one
    elif isinstance(one, MethodType):
        yield one.__self__
    elif isinstance(one, FunctionType):
        yield from (cell.cell_contents for cell in one.__closure__ or () if _filled(cell))
    elif type(one).__module__.startswith("bridge."):
        yield from getattr(one, "__dict__", {}).values()
        for base in type(one).__mro__:
            slots = base.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                yield getattr(one, name, None)


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - reading an empty cell raises
    except ValueError:
        return False
    return True
