"""Rules that span several keys of the endpoints: their sources, URLs, headers and event patterns. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache

from pydantic_core import PydanticCustomError

from bridge.core.filter import BadExpression, Filter
from bridge.core.topic_selection import TopicSelection, globs_overlap, is_pattern
from bridge.settings.models.fineract_types import FINERACT_TYPES, PRE_SUFFIX
from bridge.settings.models.request import plain_url
from bridge.settings.models.values import endpoint_url, event_pattern, parse_rate, rate
from bridge.settings.problem import Path, Problem, choice, nearest
from bridge.settings.reading.tree import Tree
from bridge.settings.rules.logins import sends_unencrypted


def check_sources(tree: Tree) -> Iterator[Problem]:
    """Check that the sources of an endpoint exist."""
    known = tree.names(("sources",))
    if not known:
        return
    for name in tree.names(("endpoints",)):
        seen: set[str] = set()
        for path, source in tree.texts(("endpoints", name, "sources")):
            if source not in known:
                yield tree.problem(path, "is not a source", choice(source, known, "the sources are"))
            elif source in seen:
                yield tree.problem(path, "is listed twice", "list each source once")
            seen.add(source)


def check_plain_http(tree: Tree) -> Iterator[Problem]:
    """Check that plain http leaves the machine only if the operator allowed it."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "url")
        url = tree.text(path)
        if url is None or tree.flag(("endpoints", name, "allow_http")):
            continue
        try:
            url = plain_url(url)
            endpoint_url(url)
        except PydanticCustomError:
            continue  # reported by the validation of the value itself
        if sends_unencrypted(tree, url):
            remedy = "use https, list its network in egress.allow, or set allow_http: true"
            yield tree.problem(path, "is plain http, which sends events unencrypted", remedy)


def check_headers(tree: Tree) -> Iterator[Problem]:
    """Check that no two header names differ only in case: they are case-insensitive (RFC 9110 5.1)."""
    for name in tree.names(("endpoints",)):
        first: dict[str, str] = {}
        for header in tree.names(("endpoints", name, "headers")):
            other = first.setdefault(header.lower(), header)
            if other != header:
                path = ("endpoints", name, "headers", header)
                yield tree.problem(path, f"is the same header as {other}", "keep one of them", key=True)


def check_rates(tree: Tree) -> Iterator[Problem]:
    """Check that no two windows of a rate have the same length: only the smaller would count."""
    for name in tree.names(("endpoints",)):
        lengths: dict[float, str | int] = {}
        for path, text in tree.texts(("endpoints", name, "rate")):
            try:
                _, seconds = parse_rate(rate(text))
            except PydanticCustomError:
                continue  # reported by the validation of the value itself
            if seconds in lengths:
                cause = f"has the same time as rate[{lengths[seconds]}]"
                yield tree.problem(path, cause, "keep the smaller of the two")
            lengths.setdefault(seconds, path[-1])


def check_breakers(tree: Tree) -> Iterator[Problem]:
    """Check that the first wait of a breaker is not longer than its longest wait."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "breaker", "open_s")
        first, longest = tree.number(path), tree.number((*path[:-1], "max_open_s"))
        if first is not None and longest is not None and first > longest:
            yield tree.problem(path, "is more than max_open_s", "lower it, or raise max_open_s")


def check_patterns(tree: Tree) -> Iterator[Problem]:
    """Check that patterns do not only exclude, and that they match a type if all types are known."""
    for name in tree.names(("endpoints",)):
        head: Path = ("endpoints", name)
        headers: list[Path] = [
            (*head, "record_headers", one) for one in tree.names((*head, "record_headers"))
        ]
        for path in ((*head, "events"), (*head, "topics"), (*head, "tenants"), *headers):
            patterns = tree.texts(path)
            if patterns and all(pattern.startswith("!") for _, pattern in patterns):
                yield tree.problem(path, "only excludes, so nothing is ever sent", 'put "*" in front')
        patterns = tree.texts((*head, "events"))
        if not _types_are_known(tree, name):
            continue
        for place, pattern in patterns:
            if _is_valid(pattern) and (mistake := unknown_type(pattern)):
                yield tree.problem(place, *mistake)


def check_topics(tree: Tree) -> Iterator[Problem]:
    """Check that every topic pattern of an endpoint matches a topic of its sources."""
    for name in tree.names(("endpoints",)):
        written = {
            source: [text for _, text in tree.texts(("sources", source, "topics"))]
            for source in _sources(tree, name)
        }
        topics = [text for texts in written.values() for text in texts if not text.startswith("!")]
        for path, pattern in tree.texts(("endpoints", name, "topics")):
            body = pattern.removeprefix("!")
            if topics and _is_valid(pattern) and not _matches_a_topic(body, topics, written):
                remedy = choice(body, dict.fromkeys(topics), "the topics are")
                yield tree.problem(path, "matches no topic of the endpoint's sources", remedy)


def _matches_a_topic(body: str, topics: Sequence[str], written: Mapping[str, Sequence[str]]) -> bool:
    """Return True if a topic of the sources may match; ``topics`` are theirs without the exclusions."""
    if is_pattern(body):
        return any(globs_overlap(topic, body) for topic in topics)
    return body in TopicSelection(written)


def check_filters(tree: Tree) -> Iterator[Problem]:
    """Check that ``when`` is a valid expression and names only fields that an event can have."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "when")
        text = tree.get(path)
        if not isinstance(text, str):
            continue  # reported by the validation of the value itself
        try:
            Filter(text)
        except BadExpression as exc:
            hidden = path in tree.hidden  # a value with a reference is never shown, nor any part of it
            cause = f"does not compile at character {exc.at + 1}" if hidden else exc.cause
            remedy = "correct the text that the reference inserts" if hidden else exc.remedy
            yield Problem(tree.place_within(path, exc.at), path, cause, remedy, tree.shown(path))


def _sources(tree: Tree, endpoint: str) -> list[str]:
    """Return the sources of an endpoint: those it names, or all."""
    known = tree.names(("sources",))
    named = [source for _, source in tree.texts(("endpoints", endpoint, "sources"))]
    return [source for source in named if source in known] or known


def _types_are_known(tree: Tree, endpoint: str) -> bool:
    sources = _sources(tree, endpoint)
    return bool(sources) and all(
        tree.text(("sources", source, "format")) == "fineract"
        and not tree.flag(("sources", source, "custom_types"))
        for source in sources
    )


def _is_valid(pattern: str) -> bool:
    try:
        event_pattern(pattern)
    except PydanticCustomError:
        return False  # reported by the validation of the value itself
    return True


def unknown_type(pattern: str) -> tuple[str, str] | None:
    """Return cause and remedy if a pattern matches none of Fineract's event types, else None."""
    body = pattern.removeprefix("!")
    return None if any(fnmatchcase(kind, body) for kind in FINERACT_TYPES) else _unknown(pattern)


def _unknown(pattern: str) -> tuple[str, str]:
    mark = "!" if pattern.startswith("!") else ""
    body = pattern.removeprefix("!")
    custom = "if your Fineract has event types of its own, set custom_types: true in the source"
    if body.endswith(PRE_SUFFIX):
        return (
            "is an event type that Fineract never publishes",
            f"most have a counterpart that ends in PostBusinessEvent; {custom}",
        )
    globbed = any(character in body for character in "*?[")
    guess = nearest(body, _fragments() if globbed else FINERACT_TYPES)
    hint = f'did you mean "{mark}{guess}"? ' if guess else "see Fineract's list of external events; "
    return "matches no event type of Fineract", f"{hint}{custom}"


@cache
def _fragments() -> tuple[str, ...]:
    """Return patterns that a person may have meant: the first words of each type, and each single word."""
    fragments: dict[str, None] = {}
    for kind in FINERACT_TYPES:
        words = re.findall(r"[A-Z][a-z]*", kind)
        for count in range(1, len(words) + 1):
            fragments[f"{''.join(words[:count])}*"] = None
        fragments.update(dict.fromkeys(f"*{word}*" for word in words))
    return tuple(fragments)


RULES: tuple[Callable[[Tree], Iterator[Problem]], ...] = (
    check_sources,
    check_plain_http,
    check_headers,
    check_rates,
    check_breakers,
    check_patterns,
    check_topics,
    check_filters,
)
