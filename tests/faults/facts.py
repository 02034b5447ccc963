"""The receiver's record of every request in a file: 32 bytes at its arrival, 32 at its end.

Each entry is written before the answer is sent, so that no acknowledged request is lost if the receiver
is killed. The entries are read as arrays, because a long run has millions of requests.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from struct import Struct

CAME, ENDED = 1, 2
NO_ENTITY = 0xFFFFFFFF
"""The entity of a body that could not be read."""
UNKEYED = 1 << 31
"""Entities from this number on have records without a key, whose order is not guaranteed."""
_LINE = Struct("<BBHIqIIQ")


def id_hash(webhook_id: bytes) -> int:
    """Return a 64-bit hash of a webhook-id, the same in every process."""
    return int.from_bytes(blake2b(webhook_id, digest_size=8).digest(), "big")


def key_of(entity: int, seq: int) -> int:
    """Return one number for an event."""
    return entity << 32 | seq


def entity_number(text: str) -> int:
    """Return 12 for ``e12``; for ``n12``, whose records have no key, 12 above ``UNKEYED``."""
    return int(text[1:]) + (UNKEYED if text[0] == "n" else 0)


def entity_name(number: int) -> str:
    """Return the name of an entity: the inverse of ``entity_number``."""
    return f"n{number - UNKEYED}" if number >= UNKEYED else f"e{number}"


class FactWriter:
    """Appends to one file; the kernel has each entry when the call returns."""

    def __init__(self, file: Path) -> None:
        self._fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._next = 0

    def came(self, at_ns: int, path: int, run: int, entity: int, seq: int, id_hash: int) -> int:
        """Record a request; return its number."""
        number = self._next
        self._next += 1
        os.write(self._fd, _LINE.pack(CAME, path, run, number, at_ns, entity, seq, id_hash))
        return number

    def ended(self, at_ns: int, number: int, status: int) -> None:
        """Record its end; status 0 if no complete answer was sent."""
        os.write(self._fd, _LINE.pack(ENDED, 0, status, number, at_ns, 0, 0, 0))


@dataclass(slots=True)
class Requests:
    """Requests as columns. ``status`` 0: no complete answer was sent, or the client had disconnected."""

    path: array[int] = field(default_factory=lambda: array("B"))
    run: array[int] = field(default_factory=lambda: array("H"))
    came_ns: array[int] = field(default_factory=lambda: array("q"))
    ended_ns: array[int] = field(default_factory=lambda: array("q"))
    status: array[int] = field(default_factory=lambda: array("H"))
    entity: array[int] = field(default_factory=lambda: array("L"))
    seq: array[int] = field(default_factory=lambda: array("L"))
    id_hash: array[int] = field(default_factory=lambda: array("Q"))

    def __len__(self) -> int:
        return len(self.path)

    def add(
        self,
        path: int,
        run: int,
        came_ns: int,
        ended_ns: int,
        status: int,
        entity: int,
        seq: int,
        id_hash: int,
    ) -> None:
        """Add a row."""
        self.path.append(path)
        self.run.append(run)
        self.came_ns.append(came_ns)
        self.ended_ns.append(ended_ns)
        self.status.append(status)
        self.entity.append(entity)
        self.seq.append(seq)
        self.id_hash.append(id_hash)


def read_facts(files: Iterable[tuple[Path, int]]) -> Requests:
    """Read all requests of all receiver processes: (file, instant of its end), oldest first.

    A request without an end ended with its receiver process.
    """
    requests = Requests()
    for file, life_ended_ns in files:
        base = len(requests)
        data = file.read_bytes() if file.exists() else b""
        whole = len(data) - len(data) % _LINE.size
        for what, path, other, number, at_ns, entity, seq, id_hash in _LINE.iter_unpack(data[:whole]):
            if what == CAME:
                requests.add(path, other, at_ns, life_ended_ns, 0, entity, seq, id_hash)
            else:
                requests.ended_ns[base + number] = at_ns
                requests.status[base + number] = other
    return requests
