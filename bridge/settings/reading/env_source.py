"""Reads ``HOOKFERRY_…`` environment variables into a ``Tree`` that overrides the file's.

``HOOKFERRY_KAFKA__SESSION_TIMEOUT_S`` is ``kafka.session_timeout_s``: ``__`` goes one level down. Lists and
mappings are written as JSON. A variable that fits no key is a mistake, because ignoring a mistyped one would
hide it. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from bridge.settings.models.settings import ENV_DELIMITER, ENV_PREFIX
from bridge.settings.problem import Marks, Path, Place, Problem, choice, nearest, printable
from bridge.settings.reading import shape
from bridge.settings.reading.tree import Tree

CONFIG_VARIABLE = ENV_PREFIX + "CONFIG"
"""The settings file, for the command line; not a setting itself."""

CONTAINER_VARIABLE = ENV_PREFIX + "IN_CONTAINER"
"""Set by the container image; not a setting itself. The file and all other variables take precedence."""

_SPECIAL = frozenset({CONFIG_VARIABLE, CONTAINER_VARIABLE})

# Kubernetes sets these in every pod for a Service called hookferry or hookferry-…
# (kubernetes.io/docs/concepts/containers/container-environment). The user did not set them: ignore them.
_SERVICE_LINK = re.compile(
    r"HOOKFERRY_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


def read_env(environ: Mapping[str, str], below: Tree) -> tuple[Tree, list[Problem]]:
    """Read the overrides. ``below``: the file, whose sources and endpoints can be overridden."""
    tree = Tree(Place("environment"))
    problems: list[Problem] = []
    names = [name for name in environ if name.startswith(ENV_PREFIX) and not _is_exempt(name, environ[name])]
    for name in sorted(names, key=lambda name: (name.count(ENV_DELIMITER), name)):
        place = Place(f"environment variable {printable(name)}")
        path = _path(name, place, tree, below, problems)
        if path is not None:
            _set(tree, path, place, environ[name], problems)
    return tree, problems


def defaults_in(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the defaults that differ where the process runs.

    In a container the admin port listens on every address: its loopback cannot be reached by the probes of
    the platform, and a port is reachable only if it is published.
    """
    if environ.get(CONTAINER_VARIABLE) == "1":
        return {"admin": {"host": "0.0.0.0"}}  # noqa: S104 - the container's own network
    return {}


def _is_exempt(name: str, value: str) -> bool:
    if name in _SPECIAL or _SERVICE_LINK.fullmatch(name):
        return True
    return name.endswith("_PORT") and _SERVICE_URL.match(value) is not None


def _path(name: str, place: Place, tree: Tree, below: Tree, problems: list[Problem]) -> Path | None:
    """Return the path that a variable names, or report why there is none."""
    path: Path = ()
    segments = name.removeprefix(ENV_PREFIX).split(ENV_DELIMITER)
    for depth, segment in enumerate(segments):
        rest = segments[depth:]
        free = shape.is_free(path)
        known = [*below.names(path), *tree.names(path)] if free else shape.keys(path)
        matches = [key for key in known if _as_segment(key) == segment.upper()]
        if not matches:
            problems.append(Problem(place, (), *_unknown(path, rest, known, free=free)))
            return None
        path = (*path, matches[0])
    return path


def _as_segment(key: str) -> str:
    return key.upper().replace("-", "_")


def _variable(path: Path) -> str:
    return ENV_PREFIX + ENV_DELIMITER.join(_as_segment(str(step)) for step in path)


def _unknown(path: Path, rest: list[str], known: list[str], *, free: bool) -> tuple[str, str]:
    names = [_as_segment(key) for key in known]
    guess = nearest(rest[0], names)
    whole = _variable(path) if path else ENV_PREFIX.rstrip("_")
    if guess:
        return "is not a setting", f"did you mean {printable(_variable((*path, guess, *rest[1:])))}?"
    if free:
        cause = f"does not name an entry of {'.'.join(map(str, path))}"
        return cause, f"add the entry to the file, or set all entries as JSON in {whole}"
    if not known:
        return f"has a part after {whole}, which is a single value", f"set {whole} instead"
    return "is not a setting", choice(rest[0], (_variable((*path, name)) for name in names)) + "; or unset it"


def _set(tree: Tree, path: Path, place: Place, text: str, problems: list[Problem]) -> None:
    value: Any = text
    if shape.is_nested(path) and not (shape.takes_text(path) and text.lstrip()[:1] not in {"{", "["}):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            example = _example(path)
            problems.append(
                Problem(place, path, "is not JSON", f"write lists and mappings as JSON, such as {example}")
            )
            tree.broken.add(path)
            value = None
    elif text == "null" and shape.is_nullable(path):
        value = None
    data = tree.data
    for step in path[:-1]:
        inner = data.setdefault(str(step), {})
        if not isinstance(inner, dict):
            return  # a shorter variable put another type of value here, which validation reports
        data = inner
    data[str(path[-1])] = value
    tree.marks[path] = Marks(place, place)


def _example(path: Path) -> str:
    if any(shape.models(slot.annotation) for slot in shape.slots(path)) or shape.is_free(path):
        return '{"key": "value"}'
    return '["a", "b"]'
