"""Make one answer of the admin port from those of all workers: readiness, limits, public keys. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bridge.app.worker_status import WorkerStatus


class Condition(NamedTuple):
    """What is known of a worker.

    ``status`` is None while it does not run or answer; ``words`` have the reason.
    """

    number: int
    words: str
    status: WorkerStatus | None


def summarize_readiness(conditions: Iterable[Condition]) -> tuple[bool, str]:
    """Return whether all workers are ready, and lines for a person.

    The first line is about the work of all workers, and begins with those that are not ready. The further
    lines are those of each worker.
    """
    listed = sorted(conditions, key=_is_ready)  # keeps the order of those that are alike
    work = "; ".join(_name(one) + _lines(one)[0] for one in listed)
    more = [f"worker {one.number}: {line}" for one in listed for line in _lines(one)[1:]]
    return all(map(_is_ready, listed)), "\n".join([work, *more])


def _is_ready(condition: Condition) -> bool:
    return condition.status is not None and condition.status.ready


def _name(condition: Condition) -> str:
    return (
        f"worker {condition.number}: "
        if _is_ready(condition)
        else f"worker {condition.number} is not ready: "
    )


def _lines(condition: Condition) -> list[str]:
    words = condition.words if condition.status is None else condition.status.words
    return words.splitlines() or [""]


def summarize_limits(group: str, conditions: Iterable[Condition]) -> dict[str, object]:
    """Return the document of /limits; the text of an endpoint names the workers that limit it."""
    slowed: dict[str, list[str]] = {}
    for condition in conditions:
        if condition.status is not None:
            for endpoint, text in condition.status.limits["slowed"].items():
                slowed.setdefault(endpoint, []).append(f"worker {condition.number}: {text}")
    return {"group": group, "slowed": {endpoint: "; ".join(texts) for endpoint, texts in slowed.items()}}


def summarize_keys(sets: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Return a JSON Web Key Set with every key of the sets once."""
    keys: list[object] = []
    for key_set in sets:
        listed = key_set["keys"]
        assert isinstance(listed, list)
        keys += [key for key in listed if key not in keys]
    return {"keys": keys}


def idle_workers(conditions: Iterable[Condition]) -> list[int] | None:
    """Return the workers without a partition; None until every worker is ready."""
    listed = list(conditions)
    if not all(map(_is_ready, listed)):
        return None
    return [one.number for one in listed if one.status is not None and one.status.stands_by]
