"""What a configuration may contain and probably should not. For ``hookferry check``. Pure.

A warning is no mistake: the bridge runs. Its text never contains a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from pydantic_core import PydanticCustomError

from bridge.core.addresses import is_this_machine
from bridge.errors import TransportError
from bridge.http.egress_policy import EgressPolicy
from bridge.receivers import PRESETS
from bridge.receivers.teams import CONNECTOR_HOSTS, WORKFLOW_HOSTS
from bridge.settings.models.request import plain_url
from bridge.settings.models.values import allowed_networks
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.secret_values import short_secrets
from bridge.settings.reading.tree import Tree
from bridge.settings.rules.auth import tls_sections

_UNREPLACED = re.compile(r"\$(?P<plain>[A-Za-z_][A-Za-z0-9_]*)|\$\((?P<round>[A-Za-z_][A-Za-z0-9_]*)\)")
_BARE = re.compile(r"\{?(?P<kind>env|file):(?P<name>[A-Za-z_][A-Za-z0-9_]*|/[^}\s]+)\}?")
_RECEIVERS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("Slack", "slack", ("hooks.slack.com",), "/"),
    ("Discord", "discord", ("discord.com", "discordapp.com"), "/api/webhooks/"),
    ("Zapier", "zapier", ("hooks.zapier.com",), "/"),
    ("PagerDuty", "pagerduty", ("events.pagerduty.com", "events.eu.pagerduty.com"), "/v2/"),
    ("Microsoft Teams", "teams", WORKFLOW_HOSTS, "/"),
    ("Microsoft Teams", "teams-connector", CONNECTOR_HOSTS, "/"),
)
"""Receivers by name: their preset, the ends of their hosts, and the beginning of their paths."""


def check_local_https(tree: Tree, written: Tree) -> Iterator[Problem]:
    """Warn of https to this machine: a receiver there rarely has a certificate for it."""
    for name, path, parts in _urls(tree):
        if parts.scheme == "https" and _is_local(parts.hostname or ""):
            cause = "is https to this machine, where a receiver rarely has a certificate that is valid for it"
            yield tree.problem(path, cause, f"begin it with http://, if {name} does not serve TLS")


def check_refused_addresses(tree: Tree, written: Tree) -> Iterator[Problem]:
    """Warn of a name of this machine that the egress policy refuses, so that every request would fail.

    An address that is written out and refused is a mistake (``bridge/settings/rules/egress.py``).
    """
    policy = EgressPolicy(allowed_networks(text for _, text in tree.texts(("egress", "allow"))))
    for _, path, parts in _urls(tree):
        host = parts.hostname or ""
        if host != "localhost" and not host.endswith(".localhost"):
            continue
        try:
            policy.check("127.0.0.1", host)
        except TransportError as exc:
            cause, _, remedy = exc.detail.partition("; ")
            yield tree.problem(path, f"is refused at each request: {cause}", remedy or "correct it")


def check_receivers(tree: Tree, written: Tree) -> Iterator[Problem]:
    """Warn of the URL of a known receiver without its preset: it would not accept the standard body."""
    for name, path, parts in _urls(tree):
        host = parts.hostname or ""
        for receiver, preset, hosts, begin in _RECEIVERS:
            given = tree.text(("endpoints", name, "preset"))
            mine = any(host == end or host.endswith(f".{end.removeprefix('.')}") for end in hosts)
            if mine and parts.path.startswith(begin) and given == "standard":
                cause = f"is {receiver}'s, but preset is {given}: {receiver} refuses that body"
                yield tree.problem(path, cause, f"set preset: {preset}")


def check_unreplaced(tree: Tree, written: Tree) -> Iterator[Problem]:
    """Warn of text that looks like a reference, and is not one: ``$NAME``, ``$(NAME)``, ``env:NAME``."""
    for path, value in written.walk():
        if not isinstance(value, str) or _is_prose(path):
            continue
        match = _UNREPLACED.search(value)
        if match is not None and (match.group() == value or match.group(match.lastgroup or 0).isupper()):
            name = match["plain"] or match["round"]
            place = written.place(path)
            remedy = f"write ${{env:{name}}} to insert the environment variable"
            yield Problem(place, path, f"contains {match.group()}, which is not replaced", remedy)
        elif (bare := _BARE.fullmatch(value)) is not None:
            remedy = f"write ${{{bare['kind']}:{bare['name']}}} to insert it"
            yield Problem(written.place(path), path, "looks like a reference, and is taken as it is", remedy)


def check_unused_secrets(tree: Tree, written: Tree) -> Iterator[Problem]:
    """Warn of signing keys and passwords that nothing uses."""
    for name in tree.names(("endpoints",)):
        preset = PRESETS.get(tree.text(("endpoints", name, "preset")) or "")
        for key in ("secrets", "signing"):
            path: Path = ("endpoints", name, key)
            if tree.get(path) and preset is not None and not preset.verifies:
                are, them = ("are", "them") if key == "secrets" else ("is", "it")
                cause = f"{are} not used: a {preset.receiver} verifies no signature"
                yield tree.problem(path, cause, f"remove {them}", key=True)
    sections: list[Path] = [("kafka", "tls"), ("admin", "tls"), *tls_sections(tree)]
    sections += [("sources", name, "registry") for name in tree.names(("sources",))]
    for section in sections:
        if tree.has((*section, "key_password")) and not tree.has((*section, "key_file")):
            cause = "is not used: there is no key_file that it would decrypt"
            yield tree.problem((*section, "key_password"), cause, "set key_file, or remove it", key=True)


def check_short_secrets(tree: Tree, written: Tree) -> Iterator[Problem]:
    """Warn of secrets that are too short to be found in the texts that receivers send."""
    yield from short_secrets(tree)


def _urls(tree: Tree) -> Iterator[tuple[str, Path, SplitResult]]:
    """Yield the URL of each endpoint in parts, with a word in place of each ``{{ … }}``."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "url")
        text = tree.text(path)
        with suppress(PydanticCustomError, ValueError):
            if text is not None:
                yield name, path, urlsplit(plain_url(text))


def _is_local(host: str) -> bool:
    return host.endswith(".localhost") or is_this_machine(host)


def _is_prose(path: Path) -> bool:
    """Return True if a dollar sign is ordinary there: in a template's text, in a filter."""
    return path[2:3] in (("body",), ("when",)) or path[-1] == "description"


def check_empty_batch(tree: Tree, written: Tree) -> Iterator[Problem]:
    """Warn of ``batch:`` with nothing below it, as after its settings were commented out: it is off."""
    for name in tree.names(("endpoints",)):
        endpoint = tree.get(("endpoints", name))
        if isinstance(endpoint, dict) and "batch" in endpoint and endpoint["batch"] is None:
            cause = "is empty, so each event is a request of its own"
            remedy = "write batch: {} for its default settings, or remove it"
            yield tree.problem(("endpoints", name, "batch"), cause, remedy, key=True)


WARNINGS: tuple[Callable[[Tree, Tree], Iterator[Problem]], ...] = (
    check_local_https,
    check_refused_addresses,
    check_receivers,
    check_unreplaced,
    check_unused_secrets,
    check_short_secrets,
    check_empty_batch,
)
"""Each gets the values as the bridge reads them, and the file as it is written."""
