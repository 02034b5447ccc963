"""The questions of a supervisor, and the shape of an answer. No imports here: a supervisor stays small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Question = Literal["metrics", "status"]


class WorkerStatus(NamedTuple):
    """The answer to ``status``: what the admin port of a single process would answer, except the metrics.

    ``words`` are those of /readyz. ``stands_by``: the worker is ready, and has no partition. ``limits`` is
    the document of /limits, ``public_keys`` the JSON Web Key Set.
    """

    ready: bool
    words: str
    stands_by: bool
    limits: Mapping[str, Any]
    public_keys: Mapping[str, Any]
