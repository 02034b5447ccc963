"""Rules about the signatures of an endpoint: the texts and times of its keys, and its headers.

Pure, except that the times of the keys are compared with the clock of the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf

from bridge.core.instant import instant_ms, instant_text
from bridge.core.signing import FORMS, SigningKey
from bridge.core.signing.forms import MESSAGE_SIGNATURES, STANDARD, KeyEncoding
from bridge.core.signing.key_text import BadKey, ReadKey, read_keys, text_key
from bridge.core.signing.keys import gap
from bridge.core.signing.message_signatures import HEADERS
from bridge.settings.models.signing import FORM_NAMES, form_named, key_reader
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree

_ENCODINGS: dict[str, KeyEncoding] = {"text": "text", "base64": "base64", "hex": "hex"}


def check_one_list(tree: Tree) -> Iterator[Problem]:
    """Check that an endpoint has its keys in one place, and that ``signing`` has any."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "signing")
        if tree.get((*path, "keys")) == []:
            remedy = "list a key, or remove signing: requests are then not signed"
            yield tree.problem((*path, "keys"), "is empty", remedy)
        if tree.has(path) and tree.get(("endpoints", name, "secrets")):
            remedy = "move the secrets into signing.keys, and remove secrets"
            yield tree.problem(path, "is set next to secrets", remedy, key=True)


def check_keys(tree: Tree) -> Iterator[Problem]:
    """Check the text and the times of every key, and that from now on some key signs at any time."""
    for name in tree.names(("endpoints",)):
        endpoint: Path = ("endpoints", name)
        yield from _check_list(tree, (*endpoint, "secrets"), key_reader(STANDARD))
        if (read := _reader(tree, (*endpoint, "signing", "form"))) is not None:
            yield from _check_list(tree, (*endpoint, "signing", "keys"), read)


def _reader(tree: Tree, path: Path) -> ReadKey | None:
    """Return how the keys of a form are read; None for a form that is reported by its own validation."""
    form = tree.get(path)
    if isinstance(form, dict):
        encoding = _ENCODINGS.get(tree.text((*path, "key_encoding")) or "")
        return None if encoding is None else text_key(encoding)
    if tree.is_broken(path):
        return None
    name = STANDARD if form is None else form
    return key_reader(form_named(name)) if name in FORM_NAMES else None


def _check_list(tree: Tree, path: Path, read: ReadKey) -> Iterator[Problem]:
    entries = tree.get(path)
    if not isinstance(entries, list):
        return
    first: dict[str, Path] = {}
    keys: list[SigningKey] = []
    complete = True
    for index in range(len(entries)):
        place: Path = (*path, index)
        try:
            found = _keys_at(tree, place, read)
        except BadKey as exc:
            yield tree.problem(_text_path(tree, place), exc.cause, exc.remedy)
            found = None
        complete = complete and found is not None
        for key in found or ():
            if key.name in first:
                shown = f"{first[key.name][-2]}[{first[key.name][-1]}]"
                yield tree.problem(_text_path(tree, place), f"is the same key as in {shown}", "list it once")
            first.setdefault(key.name, place)
            keys.append(key)
    now_s = time.time()
    if keys and complete and (between := gap(keys, now_s)):
        yield tree.problem(path, *_gap_texts(*between, now_s))


def _text_path(tree: Tree, place: Path) -> Path:
    return (*place, "secret") if isinstance(tree.get(place), dict) else place


def _keys_at(tree: Tree, place: Path, read: ReadKey) -> list[SigningKey] | None:
    """Read the keys of an entry; None if a part of it is reported by its own validation."""
    text = tree.get(_text_path(tree, place))
    if not isinstance(text, str):
        return None
    times = []
    for name, default in (("since", -inf), ("until", inf)):
        at = tree.get((*place, name))
        at_ms = instant_ms(at) if isinstance(at, str) else None
        if at_ms is None and (at is not None or tree.is_broken((*place, name))):
            return None
        times.append(default if at_ms is None else at_ms / 1000)
    since_s, until_s = times
    if since_s >= until_s:
        raise BadKey("ends before it begins", "set since to an instant before until")
    return read_keys(text, read, since_s, until_s)


def _gap_texts(begin_s: float, end_s: float, now_s: float) -> tuple[str, str]:
    cause = f"have no key that signs from {'now' if begin_s == now_s else instant_text(begin_s)} "
    if end_s == inf:
        return f"{cause}on", "remove until of the newest key, or add the key that follows it"
    cause += f"until {instant_text(end_s)}"
    if begin_s == now_s:
        return cause, "remove since of the first key, or list the key that it follows"
    return cause, "set until of the old key to since of the new one, or later"


def check_headers(tree: Tree) -> Iterator[Problem]:
    """Check that no header of the endpoint is also set by its signature."""
    for name in tree.names(("endpoints",)):
        set_by_form = _form_headers(tree, ("endpoints", name, "signing", "form"))
        for header in tree.names(("endpoints", name, "headers")):
            if header.lower() in set_by_form:
                path = ("endpoints", name, "headers", header)
                remedy = "remove it, or change signing.form"
                yield tree.problem(path, "is set by the signature as well", remedy, key=True)
        header_path: Path = ("endpoints", name, "signing", "form", "header")
        own, other = tree.text(header_path), tree.text((*header_path[:-1], "timestamp_header"))
        if own and other and own.lower() == other.lower():
            yield tree.problem((*header_path[:-1], "timestamp_header"), "is the same as header", "rename one")


def _form_headers(tree: Tree, path: Path) -> set[str]:
    form = tree.get(path)
    if isinstance(form, dict):
        names = (tree.text((*path, key)) for key in ("header", "timestamp_header"))
        return {name.lower() for name in names if name}
    if form == MESSAGE_SIGNATURES:
        return {name.lower() for name in HEADERS}
    with suppress(KeyError, TypeError):  # other forms are reported by their own validation
        return {name.lower() for name in FORMS[form].headers}
    return set()


RULES: tuple[Callable[[Tree], Iterator[Problem]], ...] = (check_one_list, check_keys, check_headers)
