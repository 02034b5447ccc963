"""Step 4, routing: which endpoints want an event.

Takes an event, gives endpoints. What depends on an event's source, topic, type and tenant alone is
worked out once and remembered; record headers and the content filter (``bridge/core/filter/``) are left
as a question, which the path asks once per event and endpoint, last of all. Rule floor, pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from bridge.errors import DecodeError, FilterError
from bridge.model import Event

Target = TypeVar("Target")

_REMEMBERED = 16_384
"""Routes kept: a hundred types of a hundred tenants, but they come from outside, so bound them."""
_LONGEST_KEY = 512
"""Characters of a type and a tenant beyond which a route is worked out each time, not kept."""


class Condition(Protocol):
    """A content filter (``bridge.core.filter.Filter``)."""

    def wants(self, event: Event) -> bool:
        """Whether the event passes. Raises ``FilterError`` and ``DecodeError``."""
        ...


class Subscription(NamedTuple):
    """What an endpoint wants: sources (None: all), patterns for the rest, and a filter.

    A pattern is a glob over the whole text, in its case: ``*``, ``?``, ``[abc]``; ``!`` before it
    excludes. No patterns: anything. A tenant or header that is not there counts as empty text.
    """

    patterns: tuple[str, ...] = ("*",)
    sources: frozenset[str] | None = None
    topics: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    record_headers: Mapping[str, tuple[str, ...]] = {}
    when: Condition | None = None


class Candidate(NamedTuple, Generic[Target]):
    """One that wants the event if ``passes``, or in any case (None).

    ``passes`` raises ``FilterError`` and ``DecodeError``.
    """

    target: Target
    passes: Callable[[Event], bool] | None


class Route(NamedTuple, Generic[Target]):
    """Where events of a kind go: candidates in the order of the configuration, and for whom it is off."""

    candidates: tuple[Candidate[Target], ...]
    off: tuple[Target, ...]

    @classmethod
    def to(cls, target: Target) -> Route[Target]:
        """The route of what is sent again to one endpoint: nothing is asked."""
        return cls((Candidate(target, None),), ())


class Refusal(NamedTuple):
    """Why an endpoint does not get an event: the setting that says no, ``off`` or ``parked``; and how."""

    rule: str
    cause: str


class Patterns:
    """Globs, some of them excluding."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = patterns
        self._wanted = union([one for one in patterns if not one.startswith("!")] or ["*"])
        unwanted = [one[1:] for one in patterns if one.startswith("!")]
        self._unwanted = union(unwanted) if unwanted else None

    def match(self, text: str) -> bool:
        """Whether one matches, and none that excludes."""
        return bool(self._wanted.match(text)) and not (self._unwanted and self._unwanted.match(text))

    def why_not(self, text: str) -> str:
        """The reason for a person, where ``match`` says no."""
        excluding = (one for one in self._patterns if one.startswith("!"))
        culprit = next((one for one in excluding if union([one[1:]]).match(text)), None)
        wanted = ", ".join(one for one in self._patterns if not one.startswith("!"))
        return f'"{text}" is excluded by {culprit}' if culprit else f'"{text}" is none of {wanted}'


def union(patterns: Sequence[str]) -> re.Pattern[str]:
    """One expression that matches what any of the globs matches."""
    return re.compile("|".join(f"(?:{translate(pattern)})" for pattern in patterns))


@dataclass(slots=True)
class _Rule(Generic[Target]):
    """A subscription, compiled."""

    target: Target
    sources: frozenset[str] | None
    topics: Patterns
    events: Patterns
    tenants: Patterns
    headers: tuple[tuple[str, Patterns], ...]
    when: Condition | None
    off: tuple[str, ...] = ()
    off_pattern: re.Pattern[str] | None = field(default=None)

    @classmethod
    def of(cls, target: Target, wanted: Subscription) -> _Rule[Target]:
        headers = tuple((name, Patterns(patterns)) for name, patterns in wanted.record_headers.items())
        topics, tenants = Patterns(wanted.topics), Patterns(wanted.tenants)
        return cls(target, wanted.sources, topics, Patterns(wanted.patterns), tenants, headers, wanted.when)

    def refusal_by_kind(self, event: Event) -> Refusal | None:
        """The first setting to refuse all such events; ``off`` is not asked."""
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
        for name, patterns in self.headers:
            text = event.origin.header(name) or ""
            if not patterns.match(text):
                return Refusal("record_headers", f"{name}: {patterns.why_not(text)}")
        return None

    def is_off(self, event_type: str) -> bool:
        return self.off_pattern is not None and bool(self.off_pattern.match(event_type))

    @property
    def passes(self) -> Callable[[Event], bool] | None:
        """What is to be asked of each event; None: nothing."""
        when = self.when
        if not self.headers:
            return when.wants if when else None
        if when is None:
            return lambda event: self.refusal_by_header(event) is None
        return lambda event: self.refusal_by_header(event) is None and when.wants(event)


class Router(Generic[Target]):
    """Routes events; each kind (source, topic, type, tenant) is worked out once and remembered."""

    def __init__(self, subscriptions: Mapping[Target, Subscription]) -> None:
        self._rules = [_Rule.of(target, wanted) for target, wanted in subscriptions.items()]
        self._by_tenant = any(wanted.tenants for wanted in subscriptions.values())
        self._known: dict[tuple[str, str, str, str | None], Route[Target]] = {}

    def route(self, event: Event) -> Route[Target]:
        """Where the event goes, but for what its headers and its content say."""
        record = event.record if event.resend is None else event.resend.origin
        key = (event.source, record.partition.topic, event.type, event.tenant if self._by_tenant else None)
        found = self._known.get(key)
        return self._work_out(key, event) if found is None else found

    def _work_out(self, key: tuple[str, str, str, str | None], event: Event) -> Route[Target]:
        wanting = [rule for rule in self._rules if rule.refusal_by_kind(event) is None]
        route = Route(
            tuple(Candidate(rule.target, rule.passes) for rule in wanting if not rule.is_off(event.type)),
            tuple(rule.target for rule in wanting if rule.is_off(event.type)),
        )
        if len(event.type) + len(event.tenant or "") <= _LONGEST_KEY:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = route
        return route

    def turn_off(self, patterns: Mapping[Target, Sequence[str]]) -> None:
        """From now on these event types, and no others, are off for these targets."""
        for rule in self._rules:
            rule.off = tuple(patterns.get(rule.target, ()))
            rule.off_pattern = union(rule.off) if rule.off else None
        self._known.clear()

    def off_pattern(self, target: Target) -> re.Pattern[str] | None:
        """What matches the event types that are off for a target; None: none is."""
        return next((rule.off_pattern for rule in self._rules if rule.target == target), None)

    def explain(self, event: Event) -> dict[Target, Refusal | None]:
        """Why each target does not get the event, asked in the order of ``route``; None: it gets it."""
        return {rule.target: _explain(rule, event) for rule in self._rules}


def _explain(rule: _Rule[Any], event: Event) -> Refusal | None:
    if refusal := rule.refusal_by_kind(event):
        return refusal
    if rule.is_off(event.type):
        culprit = next(one for one in rule.off if union([one]).match(event.type))
        return Refusal("off", f"{culprit} is switched off; hookferry events list says by whom and why")
    if refusal := rule.refusal_by_header(event):
        return refusal
    try:
        if rule.when is not None and not rule.when.wants(event):
            return Refusal("when", "the filter says no")
    except (DecodeError, FilterError) as exc:
        return Refusal("parked", exc.cause)
    return None
