"""Decide which endpoints receive an event: by source, topic, type, tenant, record headers and content.

Invariant: the cheap rules are evaluated once per kind of event and remembered. Record headers and the
content filter (``bridge/core/filter/``) differ between events of a kind, so they are left to the
caller as ``Candidate.passes``, to be called last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from bridge.errors import DecodeError, FilterError
from bridge.model import Event

Target = TypeVar("Target")

_REMEMBERED = 16_384
"""Routes kept: a hundred types of a hundred tenants. The kinds come from outside, so they are bounded."""
_LONGEST_KEY = 512
"""Characters of a type and a tenant; a route with more is evaluated each time and not kept."""


class Condition(Protocol):
    """A content filter (``bridge.core.filter.Filter``)."""

    def matches(self, event: Event) -> bool:
        """Return True if the event passes. Raises ``FilterError`` and ``DecodeError``."""
        ...


class Subscription(NamedTuple):
    """Which events an endpoint receives: sources (None: all), patterns for the rest, and a filter.

    A pattern is a case-sensitive glob over the whole text: ``*``, ``?``, ``[abc]``. A leading ``!``
    excludes. No patterns match anything. A missing tenant or header is the empty text.
    """

    patterns: tuple[str, ...] = ("*",)
    sources: frozenset[str] | None = None
    topics: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    record_headers: Mapping[str, tuple[str, ...]] = {}
    when: Condition | None = None


class Candidate(NamedTuple, Generic[Target]):
    """An endpoint that receives the event if ``passes`` returns True, or always if it is None.

    ``passes`` raises ``FilterError`` and ``DecodeError``.
    """

    target: Target
    passes: Callable[[Event], bool] | None


class Route(NamedTuple, Generic[Target]):
    """Where events of a kind go: candidates in the order of the configuration.

    ``off`` are the endpoints that would receive them if the type were not switched off.
    """

    candidates: tuple[Candidate[Target], ...]
    off: tuple[Target, ...]

    @classmethod
    def to(cls, target: Target) -> Route[Target]:
        """Return the route of an event that is sent again to one endpoint: no rule applies."""
        return cls((Candidate(target, None),), ())


class Refusal(NamedTuple):
    """Why an endpoint does not receive an event: the setting that refuses it, ``off`` or ``parked``."""

    rule: str
    cause: str


class Patterns:
    """Globs, some of them excluding."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._excluding = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
        self._including = [pattern for pattern in patterns if not pattern.startswith("!")]
        self._included = union(self._including or ["*"])
        self._excluded = union(self._excluding) if self._excluding else None

    def match(self, text: str) -> bool:
        """Return True if a glob matches and no excluding one does."""
        return bool(self._included.match(text)) and not (self._excluded and self._excluded.match(text))

    def why_not(self, text: str) -> str:
        """Return the reason for a person why ``match`` returned False."""
        culprit = next((pattern for pattern in self._excluding if union([pattern]).match(text)), None)
        if culprit is not None:
            return f'"{text}" is excluded by !{culprit}'
        return f'"{text}" is none of {", ".join(self._including)}'


def union(patterns: Sequence[str]) -> re.Pattern[str]:
    """Return one expression that matches whatever one of the globs matches."""
    return re.compile("|".join(f"(?:{translate(pattern)})" for pattern in patterns))


@dataclass(slots=True)
class _Rule(Generic[Target]):
    """A compiled subscription, and the event types that are switched off for it."""

    target: Target
    sources: frozenset[str] | None
    topics: Patterns
    events: Patterns
    tenants: Patterns
    headers: tuple[tuple[str, Patterns], ...]
    when: Condition | None
    off: tuple[str, ...] = ()
    off_pattern: re.Pattern[str] | None = None

    @classmethod
    def compile(cls, target: Target, subscription: Subscription) -> _Rule[Target]:
        return cls(
            target,
            subscription.sources,
            Patterns(subscription.topics),
            Patterns(subscription.patterns),
            Patterns(subscription.tenants),
            tuple((name, Patterns(patterns)) for name, patterns in subscription.record_headers.items()),
            subscription.when,
        )

    def refusal_by_kind(self, event: Event) -> Refusal | None:
        """Return the first setting that refuses all events of this kind. ``off`` is not evaluated."""
        if self.sources is not None and event.source not in self.sources:
            return Refusal("sources", f'"{event.source}" is none of {", ".join(sorted(self.sources))}')
        for rule, patterns, text in (
            ("topics", self.topics, event.topic),
            ("events", self.events, event.type),
            ("tenants", self.tenants, event.tenant or ""),
        ):
            if not patterns.match(text):
                return Refusal(rule, patterns.why_not(text))
        return None

    def refusal_by_header(self, event: Event) -> Refusal | None:
        """Return the first record header that refuses this event."""
        for name, patterns in self.headers:
            text = (event.origin.last_header(name) or b"").decode("utf-8", "replace")
            if not patterns.match(text):
                return Refusal("record_headers", f"{name}: {patterns.why_not(text)}")
        return None

    def turn_off(self, patterns: Sequence[str]) -> None:
        self.off = tuple(patterns)
        self.off_pattern = union(self.off) if self.off else None

    def is_off(self, event_type: str) -> bool:
        return self.off_pattern is not None and bool(self.off_pattern.match(event_type))

    @property
    def passes(self) -> Callable[[Event], bool] | None:
        """Return what differs between the events of a kind; None if nothing does."""
        when = self.when
        if not self.headers:
            return when.matches if when else None
        if when is None:
            return lambda event: self.refusal_by_header(event) is None
        return lambda event: self.refusal_by_header(event) is None and when.matches(event)


class Router(Generic[Target]):
    """Routes events. Each kind (source, topic, type, tenant) is evaluated once and remembered."""

    def __init__(self, subscriptions: Mapping[Target, Subscription]) -> None:
        self._rules = [_Rule.compile(target, wanted) for target, wanted in subscriptions.items()]
        self.by_tenant = any(wanted.tenants for wanted in subscriptions.values())
        """True if the events of a source, topic and type may have several routes, by tenant."""
        self._known: dict[tuple[str, str, str, str | None], Route[Target]] = {}

    def adopt(self, other: Router[Target]) -> None:
        """Route by the rules of another router from now on. Event types are switched off again after it."""
        self._rules, self.by_tenant = other._rules, other.by_tenant
        self._known.clear()

    def route(self, event: Event) -> Route[Target]:
        """Return where events of this kind go, before their record headers and content are evaluated."""
        record = event.record if event.resend is None else event.resend.origin
        key = (event.source, record.partition.topic, event.type, event.tenant if self.by_tenant else None)
        route = self._known.get(key)
        return self._evaluate(key, event) if route is None else route

    def _evaluate(self, key: tuple[str, str, str, str | None], event: Event) -> Route[Target]:
        rules = [rule for rule in self._rules if rule.refusal_by_kind(event) is None]
        route = Route(
            tuple(Candidate(rule.target, rule.passes) for rule in rules if not rule.is_off(event.type)),
            tuple(rule.target for rule in rules if rule.is_off(event.type)),
        )
        if len(event.type) + len(event.tenant or "") <= _LONGEST_KEY:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = route
        return route

    def turn_off(self, patterns: Mapping[Target, Sequence[str]]) -> None:
        """Switch these event types off, by target; all others are on from now on."""
        for rule in self._rules:
            rule.turn_off(patterns.get(rule.target, ()))
        self._known.clear()

    def off_pattern(self, target: Target) -> re.Pattern[str] | None:
        """Return an expression for the event types that are off for a target; None if none is."""
        return next((rule.off_pattern for rule in self._rules if rule.target == target), None)

    def explain(self, event: Event) -> dict[Target, Refusal | None]:
        """Return why each target does not receive the event; None if it does.

        The rules are evaluated in the same order as for a delivery.
        """
        return {rule.target: _explain(rule, event) for rule in self._rules}


def _explain(rule: _Rule[Any], event: Event) -> Refusal | None:
    if refusal := rule.refusal_by_kind(event):
        return refusal
    if rule.is_off(event.type):
        culprit = next(pattern for pattern in rule.off if union([pattern]).match(event.type))
        return Refusal("off", f"{culprit} is switched off; hookferry events list shows who did it and why")
    if refusal := rule.refusal_by_header(event):
        return refusal
    try:
        if rule.when is not None and not rule.when.matches(event):
            return Refusal("when", "the filter is false")
    except (DecodeError, FilterError) as exc:
        return Refusal("parked", exc.cause)
    return None
