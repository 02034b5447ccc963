"""Rules that span several keys: the connection to Kafka, the sources, the timing. ``RULES`` lists all rules.

A rule reads unvalidated values, so that it reports its problems even while other settings are wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

from bridge.settings.models.values import unreadable
from bridge.settings.problem import Path, Problem, nearest
from bridge.settings.reading import shape
from bridge.settings.reading.tree import Tree
from bridge.settings.rules import (
    auth,
    batches,
    egress,
    endpoints,
    receivers,
    rendering,
    signing,
    sources,
    topics,
    tracing,
)
from bridge.settings.rules.logins import (
    CERTIFICATE_FILES,
    CERTIFICATE_PAIRS,
    check_file,
    check_pairs,
    check_service_url,
)

Rule = Callable[[Tree], Iterator[Problem]]

_TLS: Path = ("kafka", "tls")
_SASL: Path = ("kafka", "sasl")
_LOGIN = ("username", "password")
_OAUTH = ("token_url", "client_id", "client_secret")
_PROTOCOLS = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}
_FIELDS = {  # mechanism: required, optional
    "PLAIN": (_LOGIN, ()),
    "SCRAM-SHA-256": (_LOGIN, ()),
    "SCRAM-SHA-512": (_LOGIN, ()),
    "OAUTHBEARER": (_OAUTH, ("scope", "token_ca_file")),
    "AWS_MSK_IAM": (("aws_region",), ()),
}


def check_schema_folders(tree: Tree) -> Iterator[Problem]:
    """Check that the schema folder of a Fineract source exists and can be listed."""
    for name in tree.names(("sources",)):
        path: Path = ("sources", name, "schemas")
        folder = tree.text(path)
        if not folder or tree.text(("sources", name, "format")) != "fineract":
            continue
        remedy = (
            "fill it from your Fineract (hookferry schemas import JAR --into FOLDER), or correct the path"
        )
        if problem := unreadable(folder, FilePath.is_dir, "folder"):
            yield tree.problem(path, problem, remedy)


def check_bulk_events(tree: Tree) -> Iterator[Problem]:
    """Check that no endpoint selects the bulk events of sources that split them."""
    named_sources = tree.names(("sources",))
    split = {
        name
        for name in named_sources
        if tree.text(("sources", name, "format")) == "fineract"
        and tree.text(("sources", name, "bulk")) != "whole"
    }
    for name in tree.names(("endpoints",)):
        named = {source for _, source in tree.texts(("endpoints", name, "sources"))}
        if not (named or set(named_sources)) <= split:
            continue
        for place, pattern in tree.texts(("endpoints", name, "events")):
            if pattern == "BulkBusinessEvent":
                cause = "is never delivered: the source splits it into events of their own types"
                yield tree.problem(place, cause, "select those types, or set bulk: whole in the source")


def check_tls(tree: Tree) -> Iterator[Problem]:
    """Check that certificate files can be read, are complete, and are used by the protocol."""
    protocol = tree.text(("kafka", "security_protocol"))
    for key in CERTIFICATE_FILES:
        path = (*_TLS, key)
        yield from check_file(tree, path)
        if tree.text(path) and protocol in {"PLAINTEXT", "SASL_PLAINTEXT"}:
            cause = f"is set, but security_protocol {protocol} does not encrypt"
            yield tree.problem(
                path, cause, "set security_protocol to SSL or SASL_SSL, or remove it", key=True
            )
    yield from check_pairs(tree, _TLS, CERTIFICATE_PAIRS)


def check_admin_tls(tree: Tree) -> Iterator[Problem]:
    """Check that the certificate files of the admin port can be read."""
    for key in ("cert_file", "key_file"):
        yield from check_file(tree, ("admin", "tls", key))


def check_sasl(tree: Tree) -> Iterator[Problem]:
    """Check that a login is set exactly if the protocol has one, complete for its mechanism."""
    protocol = tree.text(("kafka", "security_protocol"))
    if protocol in _PROTOCOLS:
        if protocol.startswith("SASL_") and not tree.has(_SASL) and not tree.is_broken(_SASL):
            path = ("kafka", "security_protocol")
            yield tree.problem(
                path, "requires a login, but kafka.sasl is missing", "add sasl with mechanism and its keys"
            )
        if not protocol.startswith("SASL_") and tree.has(_SASL):
            cause = f"is set, but security_protocol {protocol} does not log in"
            yield tree.problem(_SASL, cause, "set security_protocol to SASL_SSL, or remove sasl", key=True)
    mechanism = tree.text((*_SASL, "mechanism"))
    if mechanism not in _FIELDS:
        return
    required, optional = _FIELDS[mechanism]
    for key in required:
        misspelled = nearest(key, set(tree.names(_SASL)) - set(shape.keys(_SASL)))  # reported as unknown
        if not misspelled and not tree.has((*_SASL, key)) and not tree.is_broken((*_SASL, key)):
            place = tree.place(_SASL, key=True)
            yield Problem(
                place, (*_SASL, key), f"is missing, and mechanism {mechanism} needs it", f"add {key}"
            )
    for key in (*_LOGIN, *_OAUTH, "scope", "token_ca_file", "aws_region"):
        if key not in (*required, *optional) and tree.has((*_SASL, key)):
            cause = f"is not used by mechanism {mechanism}"
            yield tree.problem(
                (*_SASL, key), cause, f"remove it; it uses {', '.join((*required, *optional))}", key=True
            )


def check_token_url(tree: Tree) -> Iterator[Problem]:
    """Check that the token URL is valid, sends no client secret unencrypted, and that its file exists."""
    yield from check_file(tree, (*_SASL, "token_ca_file"))
    yield from check_service_url(
        tree,
        (*_SASL, "token_url"),
        login="set client_id and client_secret instead",
        sends="client secret",
    )


def check_times(tree: Tree) -> Iterator[Problem]:
    """Check that the heartbeat, session, rebalance and drain times fit together."""
    heartbeat_path = ("kafka", "heartbeat_interval_s")
    heartbeat, session = tree.number(heartbeat_path), tree.number(("kafka", "session_timeout_s"))
    if heartbeat is not None and session is not None and heartbeat * 3 >= session:
        cause = f"is not less than a third of {_named(tree, ('kafka', 'session_timeout_s'))}"
        yield tree.problem(heartbeat_path, cause, "lower it, or raise session_timeout_s")
    rebalance_path = ("kafka", "rebalance_timeout_s")
    rebalance, drain = tree.number(rebalance_path), tree.number(("drain_timeout_s",))
    if rebalance is not None and drain is not None and rebalance <= drain:
        cause = f"is not more than {_named(tree, ('drain_timeout_s',))}, so partitions would move too early"
        yield tree.problem(rebalance_path, cause, "raise it, or lower drain_timeout_s")


def check_endpoint_times(tree: Tree) -> Iterator[Problem]:
    """Check that attempts end within a drain, and that retry delays do not begin above their cap."""
    drain = tree.number(("drain_timeout_s",))
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "timeout_s")
        timeout = tree.number(path)
        if timeout is not None and drain is not None and timeout > drain:
            cause = (
                f"is more than {_named(tree, ('drain_timeout_s',))}, which would cut off requests in flight"
            )
            yield tree.problem(path, cause, "lower it, or raise drain_timeout_s")
        base_path: Path = ("endpoints", name, "retry", "base_s")
        cap_path: Path = ("endpoints", name, "retry", "cap_s")
        base, cap = tree.number(base_path), tree.number(cap_path)
        if base is not None and cap is not None and base > cap:
            yield tree.problem(
                base_path, f"is more than {_named(tree, cap_path)}", "lower it, or raise cap_s"
            )


def _named(tree: Tree, path: Path) -> str:
    """Return the key of a number, with its value unless that contains a reference."""
    return f"{path[-1]}" if path in tree.hidden else f"{path[-1]} ({tree.number(path):g})"


RULES: tuple[Rule, ...] = (
    *topics.RULES,
    check_schema_folders,
    check_bulk_events,
    check_tls,
    check_admin_tls,
    check_sasl,
    check_token_url,
    check_times,
    check_endpoint_times,
    *sources.RULES,
    *endpoints.RULES,
    *egress.RULES,
    *auth.RULES,
    *rendering.RULES,
    *batches.RULES,
    *receivers.RULES,
    *signing.RULES,
    *tracing.RULES,
)
