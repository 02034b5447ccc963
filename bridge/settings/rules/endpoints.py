"""Rules that span several keys of the endpoints: their sources, URLs, headers and event patterns.

Like ``rules``: each takes the unvalidated ``Tree`` and yields problems. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cache

from pydantic_core import PydanticCustomError

from bridge.core.filter import BadExpression, Filter
from bridge.settings.models.fineract_types import FINERACT_TYPES, PRE_SUFFIX
from bridge.settings.models.request import plain_url
from bridge.settings.models.values import (
    allowed_networks,
    endpoint_url,
    event_pattern,
    is_plain_http,
    parse_rate,
    rate,
)
from bridge.settings.problem import Path, Problem, choice, nearest
from bridge.settings.reading.tree import Tree


def sources_exist(tree: Tree) -> Iterator[Problem]:
    """Check that an endpoint's sources are among those there are."""
    known = tree.names(("sources",))
    if not known:
        return
    for name in tree.names(("endpoints",)):
        seen: set[str] = set()
        for path, source in tree.texts(("endpoints", name, "sources")):
            if source not in known:
                yield tree.problem(path, "is no source", choice(source, known, "the sources are"))
            elif source in seen:
                yield tree.problem(path, "is named twice", "name every source once")
            seen.add(source)


def urls_are_encrypted(tree: Tree) -> Iterator[Problem]:
    """Check that plain http leaves the machine only where the operator vouched for that."""
    networks = allowed_networks(text for _, text in tree.texts(("egress", "allow")))
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "url")
        url = tree.text(path)
        if url is None or tree.flag(("endpoints", name, "allow_http")):
            continue
        try:
            url = plain_url(url)
            endpoint_url(url)
        except PydanticCustomError:
            continue  # said where the value itself is checked
        if is_plain_http(url, networks):
            remedy = "use https, list its network in egress.allow, or set allow_http: true"
            yield tree.problem(path, "is plain http, which sends events unencrypted", remedy)


def headers_differ(tree: Tree) -> Iterator[Problem]:
    """Check that no header is given twice in different letters: names are case-insensitive (RFC 9110 5.1)."""
    for name in tree.names(("endpoints",)):
        first: dict[str, str] = {}
        for header in tree.names(("endpoints", name, "headers")):
            other = first.setdefault(header.lower(), header)
            if other != header:
                path = ("endpoints", name, "headers", header)
                yield tree.problem(path, f"is the same header as {other}", "keep one of them", key=True)


def rates_differ(tree: Tree) -> Iterator[Problem]:
    """Check that of the windows of a rate no two are of the same length: only the smaller would count."""
    for name in tree.names(("endpoints",)):
        lengths: dict[float, str | int] = {}
        for path, text in tree.texts(("endpoints", name, "rate")):
            try:
                _, seconds = parse_rate(rate(text))
            except PydanticCustomError:
                continue  # said where the value itself is checked
            if seconds in lengths:
                cause = f"is over the same time as rate[{lengths[seconds]}]"
                yield tree.problem(path, cause, "keep the smaller of them")
            lengths.setdefault(seconds, path[-1])


def breakers_grow(tree: Tree) -> Iterator[Problem]:
    """Check that the first wait of a breaker is not longer than its longest."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "breaker", "open_s")
        first, longest = tree.number(path), tree.number((*path[:-1], "max_open_s"))
        if first is not None and longest is not None and first > longest:
            yield tree.problem(path, "is more than max_open_s", "lower it, or raise max_open_s")


def patterns_select(tree: Tree) -> Iterator[Problem]:
    """Check that patterns do not only exclude, and where the event types are known they match some."""
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
            if _is_valid(pattern) and (wrong := unknown_type(pattern)):
                yield tree.problem(place, *wrong)


def topics_are_read(tree: Tree) -> Iterator[Problem]:
    """Check that an endpoint's topic patterns match some topic of its sources."""
    for name in tree.names(("endpoints",)):
        topics = [
            topic for source in _sources(tree, name) for _, topic in tree.texts(("sources", source, "topics"))
        ]
        for path, pattern in tree.texts(("endpoints", name, "topics")):
            body = pattern.removeprefix("!")
            if topics and _is_valid(pattern) and not any(fnmatchcase(topic, body) for topic in topics):
                remedy = choice(body, dict.fromkeys(topics), "the topics are")
                yield tree.problem(path, "matches no topic that is read", remedy)


def filters_compile(tree: Tree) -> Iterator[Problem]:
    """Check that a ``when`` is an expression, and names only what an event has."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "when")
        text = tree.get(path)
        if not isinstance(text, str):
            continue  # said where the value itself is checked
        try:
            Filter(text)
        except BadExpression as exc:
            hidden = path in tree.hidden  # what a reference brought in is never shown, nor any part of it
            cause = f"does not compile at character {exc.at + 1}" if hidden else exc.cause
            remedy = "correct what the reference brings in" if hidden else exc.remedy
            yield Problem(tree.place_within(path, exc.at), path, cause, remedy, tree.shown(path))


def _sources(tree: Tree, endpoint: str) -> list[str]:
    """The sources an endpoint takes events from: those it names, or all."""
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
        return False  # said where the value itself is checked
    return True


def unknown_type(pattern: str) -> tuple[str, str] | None:
    """Cause and remedy where a pattern matches no event type of Fineract's own; else None."""
    body = pattern.removeprefix("!")
    return None if any(fnmatchcase(kind, body) for kind in FINERACT_TYPES) else _unknown(pattern)


def _unknown(pattern: str) -> tuple[str, str]:
    mark = "!" if pattern.startswith("!") else ""
    body = pattern.removeprefix("!")
    custom = "if your Fineract has types of its own, set custom_types: true in the source"
    if body.endswith(PRE_SUFFIX):
        return (
            "is an event type that Fineract never publishes",
            f"most have a twin that ends in PostBusinessEvent; {custom}",
        )
    globbed = any(character in body for character in "*?[")
    guess = nearest(body, _fragments() if globbed else FINERACT_TYPES)
    hint = f'did you mean "{mark}{guess}"? ' if guess else "see Fineract's list of external events; "
    return "unknown event pattern, it matches no type of Fineract's", f"{hint}{custom}"


@cache
def _fragments() -> tuple[str, ...]:
    """Patterns a person may have meant: every run of whole words of a type, with ``*`` around it."""
    found: dict[str, None] = {}
    for kind in FINERACT_TYPES:
        words = re.findall(r"[A-Z][a-z]*", kind)
        for count in range(1, len(words) + 1):
            found[f"{''.join(words[:count])}*"] = None
        found.update(dict.fromkeys(f"*{word}*" for word in words))
    return tuple(found)


RULES: tuple[Callable[[Tree], Iterator[Problem]], ...] = (
    sources_exist,
    urls_are_encrypted,
    headers_differ,
    rates_differ,
    breakers_grow,
    patterns_select,
    topics_are_read,
    filters_compile,
)
