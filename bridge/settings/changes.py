"""Compare two configurations: what a running process takes over, and what needs a restart. Pure.

Invariant: a setting that is not known to be taken over needs a restart. So a new setting is never ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from bridge.core.topic_selection import is_pattern
from bridge.settings.models.endpoints import EndpointSettings
from bridge.settings.models.settings import Settings
from bridge.settings.problem import Path, dotted

_ROUTING = frozenset({"events", "sources", "topics", "tenants", "record_headers", "when"})
"""What decides which events an endpoint gets."""
_CURSORS = frozenset({"start", "on_lost_offset", "window", "window_bytes"})
_ALL_DELIVERIES: tuple[Path, ...] = (
    ("egress",), ("log", "attempts"), ("history", "bodies"), ("history", "max_body_bytes"),
)  # fmt: skip
"""What the requests of all endpoints depend on."""
_TAKEN_OVER: tuple[Path, ...] = (("endpoints",), *_ALL_DELIVERIES, ("log", "level"), ("reload",))
_NEEDS_RESTART = frozenset({"on_park"})
"""Of an endpoint that exists: its held lanes would have to be read, or given up, while it works."""
_ON_OR_OFF = frozenset({"batch"})
"""Of an endpoint that exists, these are changed while it works, but neither turned on nor off."""


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """The difference of two configurations, by the names of endpoints.

    ``delivery`` are endpoints whose requests, limits or retries change; ``routing`` those that get other
    events; ``cursors`` those whose cursors have other bounds. ``new_gate`` are those of ``delivery`` whose
    limits begin again, and ``same_receiver`` those that still send to the same place. ``refused`` are
    settings that need a restart.
    """

    added: frozenset[str]
    removed: frozenset[str]
    delivery: frozenset[str]
    routing: frozenset[str]
    cursors: frozenset[str]
    new_gate: frozenset[str]
    same_receiver: frozenset[str]
    topics: bool
    """A source reads more topics than before: the group assigns its partitions again."""
    others: tuple[str, ...]
    """Settings of no endpoint that change."""
    refused: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Return True if both configurations are the same."""
        return not (self.added or self.removed or self.changed or self.others or self.topics or self.refused)

    @property
    def changed(self) -> frozenset[str]:
        """Endpoints of both configurations in which anything differs."""
        return self.delivery | self.routing | self.cursors


def compare(
    old: Settings,
    new: Settings,
    old_files: Mapping[str, str] | None = None,
    new_files: Mapping[str, str] | None = None,
) -> SettingsChange:
    """Return what differs. ``files``: by endpoint, a digest of the files that its requests are made with."""
    differing = list(dict.fromkeys(_differing(old, new, ())))
    grown = [path for path in differing if _is_grown(path, old, new)]
    refused = [path for path in differing if path not in grown and not _is_taken_over(path)]
    both = old.endpoints.keys() & new.endpoints.keys()
    all_change = any(_touches(path, one) for path in differing for one in _ALL_DELIVERIES)
    keys: dict[str, set[str]] = {}
    for path in differing:
        if path[0] == "endpoints" and path[1:2] and path[1] in both:
            keys.setdefault(str(path[1]), set()).add(str(path[2]))
    files_change = {name for name in both if (old_files or {}).get(name) != (new_files or {}).get(name)}
    delivery = {name for name, of in keys.items() if of - _ROUTING - _CURSORS} | files_change
    delivery = set(both) if all_change else delivery
    return SettingsChange(
        added=frozenset(new.endpoints.keys() - both),
        removed=frozenset(old.endpoints.keys() - both),
        delivery=frozenset(delivery),
        routing=frozenset(name for name, of in keys.items() if of & (_ROUTING | {"preset"})),
        cursors=frozenset(name for name, of in keys.items() if of & _CURSORS),
        new_gate=frozenset(
            name for name in delivery if _limits(old.endpoints[name]) != _limits(new.endpoints[name])
        ),
        same_receiver=frozenset(
            name
            for name in delivery
            if old.endpoints[name].target.origin == new.endpoints[name].target.origin
        ),
        topics=bool(grown),
        others=tuple(dotted(path) for path in differing if path[0] != "endpoints" and path not in refused),
        refused=tuple(dotted(path) for path in refused),
    )


def _limits(endpoint: EndpointSettings) -> tuple[object, ...]:
    return (
        endpoint.rate_windows,
        endpoint.concurrency,
        endpoint.breaker,
        endpoint.retry.retry_after_cap_s,
        endpoint.target.origin,
    )


def _is_taken_over(path: Path) -> bool:
    if path[0] == "endpoints":
        is_switched = len(path) == 3 and path[2] in _ON_OR_OFF
        return not (is_switched or (len(path) > 2 and path[2] in _NEEDS_RESTART))
    return any(path[: len(known)] == known for known in _TAKEN_OVER)


def _is_grown(path: Path, old: Settings, new: Settings) -> bool:
    """Return True if a source has all topics that it had, and more, without another exclusion.

    The first pattern of all sources needs a restart: the group is then joined in another way.
    """
    if len(path) != 3 or path[0] != "sources" or path[2] != "topics":
        return False
    before, after = old.sources[str(path[1])].topics, new.sources[str(path[1])].topics
    added = set(after) - set(before)
    patterns = any(is_pattern(text) for source in old.sources.values() for text in source.topics)
    is_known_kind = not any(text.startswith("!") or (is_pattern(text) and not patterns) for text in added)
    return set(before) < set(after) and is_known_kind


def _touches(path: Path, other: Path) -> bool:
    return all(one == two for one, two in zip(path, other, strict=False))


def _differing(old: object, new: object, path: Path) -> Iterator[Path]:
    """Yield the paths of the settings that differ, as deep as both sides have the same shape."""
    if isinstance(old, BaseModel) and isinstance(new, BaseModel) and type(old) is type(new):
        for name in type(old).model_fields:
            yield from _differing(getattr(old, name), getattr(new, name), (*path, name))
        if isinstance(old, EndpointSettings):  # a preset fills in what is not set
            yield from ((*path, name) for name in sorted(old.model_fields_set ^ new.model_fields_set))
    elif isinstance(old, dict) and isinstance(new, dict) and path in (("endpoints",), ("sources",)):
        for name in sorted({*old, *new}):
            if name in old and name in new:
                yield from _differing(old[name], new[name], (*path, name))
            else:
                yield (*path, name)
    elif old != new:
        yield path
