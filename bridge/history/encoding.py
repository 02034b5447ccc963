"""Write a record of ``<group>.attempts``; ``batch.py`` describes its format. Pure.

Attempts of one endpoint have most of their values in common. A column that is the same in all of them is
found, and then written once, in less time than writing it for each of them.

Invariant: one attempt that cannot be encoded as it is never costs another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson

from bridge.history.batch import BYTES, FIRST_MS, FORMAT, LAST_MS, NUMBERED_BY, Writer
from bridge.history.row import OWN, Common, Row
from bridge.model import Header

_SENT_S, _ANSWERED_S = itemgetter(0), itemgetter(1)
_KEY, _TENANT = itemgetter(2), itemgetter(3)
"""Return parts of a lane."""
_FIELDS = (*OWN, *Common._fields)
_LANE, _LATER = _FIELDS.index("lane"), _FIELDS.index("later")
COLUMNS = tuple({"later": "next_s"}.get(name, name) for name in _FIELDS)
"""The names of the columns, in the order of the values of a row."""


def encode(writer: Writer, attempts: Sequence[Row]) -> bytes:
    """Return the value of a record with these attempts; at least one."""
    same: dict[str, Any] = {}
    varying: dict[str, Sequence[Any]] = {}
    parts: list[bytes] = []
    for name, values in zip(COLUMNS, _columns(attempts), strict=True):
        is_same = _are_same(values) and name != NUMBERED_BY
        written = values[:1] if is_same else values
        if name in BYTES:
            if None in written:
                parts += [content for content in written if content is not None]
                written = [None if content is None else len(content) for content in written]
            else:
                parts += written
                written = [*map(len, written)]
        if is_same:
            same[name] = written[0]
        else:
            varying[name] = written
    head = {
        "format": FORMAT,
        "process": writer.process,
        "number": writer.number,
        "endpoint": writer.endpoint,
        "same": same,
        "columns": varying,
    }
    return b"".join((_json(head), b"\n", *parts))


def _columns(attempts: Sequence[Row]) -> list[Sequence[Any]]:
    """Return the values by column; only one value of what all attempts have in common."""
    *own, commons, _ = zip(*attempts, strict=True)
    shared = zip(*(commons[:1] if _are_same(commons) else commons), strict=True)
    columns: list[Sequence[Any]] = [*own, *shared]
    columns[_LANE] = _lanes(columns[_LANE])
    columns[_LATER] = [None if later is None else later.at_s for later in columns[_LATER]]
    return columns


def _are_same(values: Sequence[Any]) -> bool:
    first = values[0]
    return bool(first == values[-1] and values.count(first) == len(values))


def _lanes(lanes: Sequence[Any]) -> Sequence[Any]:
    """Return the column of lanes without topic and partition, which are those of the source."""
    try:
        return [*zip(map(bytes.hex, map(_KEY, lanes)), map(_TENANT, lanes), strict=True)]
    except TypeError:  # there are attempts without a lane, or lanes whose key is not bytes
        return [
            None if lane is None else (lane[2].hex() if type(lane[2]) is bytes else [lane[2]], lane[3])
            for lane in lanes
        ]


def batch_headers(attempts: Sequence[Row]) -> tuple[Header, ...]:
    """Return the headers of a record: when its attempts were made."""
    first_s, last_s = min(map(_SENT_S, attempts)), max(map(_ANSWERED_S, attempts))
    return (FIRST_MS, b"%d" % int(first_s * 1000)), (LAST_MS, b"%d" % int(last_s * 1000 + 1))


def _json(head: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(head)
    except TypeError:  # a text with half of a surrogate pair, or a number that has more than 64 bits
        same = {name: _plain(cell) for name, cell in head["same"].items()}
        columns = {name: [*map(_plain, cells)] for name, cells in head["columns"].items()}
        return orjson.dumps({**head, "same": same, "columns": columns})


def _plain(cell: Any) -> Any:
    """Return a value that JSON can contain."""
    if isinstance(cell, int) and not -(1 << 63) <= cell < 1 << 63:
        return str(cell)
    if isinstance(cell, list | tuple):
        return [*map(_plain, cell)]
    return cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else cell
