"""Rules for the login to an endpoint and its TLS: one method, no second header of its name, usable files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl

from pydantic_core import PydanticCustomError

from bridge.settings.models.auth import AUTHORIZATION, METHODS
from bridge.settings.models.request import plain_url
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree
from bridge.settings.rules.logins import (
    CERTIFICATE_FILES,
    CERTIFICATE_PAIRS,
    check_file,
    check_pairs,
    check_service_url,
)

_SECRET = (("client_secret",), "add client_secret: ${env:NAME}")
_NEEDED: dict[str, tuple[tuple[str, ...], str]] = {
    "basic": _SECRET,
    "body": _SECRET,
    "tls": (("tls", "cert_file"), "add tls with cert_file and key_file"),
    "private_key_jwt": (("private_key",), "add private_key with key_file"),
}
"""What each style of login needs, and how to add it."""


def tls_sections(tree: Tree) -> list[Path]:
    """List the sections with certificate files of all endpoints."""
    return [
        section
        for name in tree.names(("endpoints",))
        for section in (("endpoints", name, "tls"), ("endpoints", name, "auth", "oauth2", "tls"))
    ]


def check_methods(tree: Tree) -> Iterator[Problem]:
    """Check that each login has exactly one method, and an API key exactly one place."""
    for name in tree.names(("endpoints",)):
        auth: Path = ("endpoints", name, "auth")
        yield from _check_choice(tree, auth, METHODS, "has no method")
        yield from _check_choice(tree, (*auth, "api_key"), ("header", "query"), "has no place for the key")


def _check_choice(tree: Tree, path: Path, keys: tuple[str, ...], missing: str) -> Iterator[Problem]:
    """Check that exactly one of the keys is set in the mapping at a path, if there is one."""
    if not isinstance(tree.get(path), dict):
        return  # there is none, or the validation of the value itself reports it
    chosen = [key for key in tree.names(path) if key in keys and tree.has((*path, key))]
    is_reported = set(tree.names(path)) - set(keys) - {"value"} or any(
        tree.is_broken((*path, key)) for key in keys
    )
    if not chosen and not is_reported:
        yield tree.problem(path, missing, f"add one of {', '.join(keys)}", key=True)
    for key in chosen[1:]:
        cause = f"is set together with {chosen[0]}"
        yield tree.problem((*path, key), cause, "keep one of the two", key=True)


def check_login_headers(tree: Tree) -> Iterator[Problem]:
    """Check that the header or parameter of a login is not set in ``headers`` or ``url`` as well."""
    for name in tree.names(("endpoints",)):
        login = _login_header(tree, name)
        for header in tree.names(("endpoints", name, "headers")):
            if login and header.lower() == login.lower():
                path = ("endpoints", name, "headers", header)
                yield tree.problem(path, "is set by auth as well", "remove it, or remove auth", key=True)
        key: Path = ("endpoints", name, "auth", "api_key", "query")
        if (parameter := tree.text(key)) and parameter in _parameters(tree, name):
            yield tree.problem(key, "is a parameter of the url as well", "remove it from the url")


def _login_header(tree: Tree, name: str) -> str | None:
    auth: Path = ("endpoints", name, "auth")
    if any(tree.has((*auth, method)) for method in ("basic", "bearer", "oauth2")):
        return AUTHORIZATION
    return tree.text((*auth, "api_key", "header"))


def _parameters(tree: Tree, name: str) -> set[str]:
    """Return the names of the parameters in the URL of an endpoint."""
    try:
        url = plain_url(tree.text(("endpoints", name, "url")) or "")
    except PydanticCustomError:
        return set()  # reported by the validation of the value itself
    query = url.partition("?")[2].partition("#")[0]
    return {parameter for parameter, _ in parse_qsl(query, keep_blank_values=True)}


def check_token_urls(tree: Tree) -> Iterator[Problem]:
    """Check that the token URL of an endpoint is valid and does not send the client secret unencrypted."""
    for name in tree.names(("endpoints",)):
        yield from check_service_url(
            tree,
            ("endpoints", name, "auth", "oauth2", "token_url"),
            login="set client_id and client_secret instead",
            sends="client secret",
        )


def check_client_logins(tree: Tree) -> Iterator[Problem]:
    """Check that an OAuth 2 client has what its login needs (secret, certificate or key) and nothing else."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "auth", "oauth2")
        style = tree.text((*path, "auth_style"))
        if not isinstance(tree.get(path), dict) or style not in _NEEDED:
            continue
        yield from check_file(tree, (*path, "private_key", "key_file"))
        needed, remedy = _NEEDED[style]
        if not tree.has((*path, *needed)) and not tree.is_broken((*path, *needed)):
            cause = f"is missing, and auth_style {style} needs it"
            yield Problem(tree.place(path, key=True), (*path, *needed), cause, remedy)
        for key in ("client_secret", "private_key"):
            if key != needed[0] and tree.has((*path, key)):
                cause = f"is not used by auth_style {style}"
                yield tree.problem((*path, key), cause, "remove it, or change auth_style", key=True)


def check_tls(tree: Tree) -> Iterator[Problem]:
    """Check that the certificate files of endpoints can be read, are complete, and are used."""
    for section in tls_sections(tree):
        for key in CERTIFICATE_FILES:
            yield from check_file(tree, (*section, key))
        yield from check_pairs(tree, section, CERTIFICATE_PAIRS)
        url: Path = (*section[:-1], "token_url" if section[-2] == "oauth2" else "url")
        if tree.has(section) and (tree.text(url) or "").lower().startswith("http://"):
            cause = f"is set, but {url[-1]} is plain http"
            yield tree.problem(section, cause, f"use an https {url[-1]}, or remove tls", key=True)


RULES: tuple[Callable[[Tree], Iterator[Problem]], ...] = (
    check_methods,
    check_login_headers,
    check_token_urls,
    check_client_logins,
    check_tls,
)
