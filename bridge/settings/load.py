"""Reads the settings from the file and the environment, or lists every mistake in them.

Steps: read the file, parse it, apply the environment, resolve references, make paths absolute, validate, then
apply the rules that span several keys. One run finds all mistakes, unless the YAML syntax is wrong.

Invariant: all secrets are in force for ``bridge.telemetry.scrub`` before any message about them is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bridge.settings.models.settings import Settings, layered
from bridge.settings.problem import Path as SettingsPath
from bridge.settings.problem import Place, Problem, one_line
from bridge.settings.reading.env_source import CONFIG_VARIABLE, defaults_in, read_env
from bridge.settings.reading.explain import explain
from bridge.settings.reading.secret_values import secrets_in, short_secrets
from bridge.settings.reading.secrets import resolve
from bridge.settings.reading.tree import Tree, overlay
from bridge.settings.reading.yaml_source import read_yaml
from bridge.settings.rules import auth
from bridge.settings.rules.logins import CERTIFICATE_FILES
from bridge.settings.rules.service import RULES, Rule
from bridge.telemetry.scrub import in_force

MAX_FILE_BYTES = 1_048_576


def read(
    path: str | Path, environ: Mapping[str, str], also: Iterable[Rule] = ()
) -> tuple[Settings | None, list[str]]:
    """Return the settings, or None and the mistakes, one line each, in file order.

    ``also``: further rules, from packages that this one must not import.
    """
    file, env, problems = _layers(path, environ)
    if file is None:
        return None, _lines(problems)
    tree = overlay(file, env)
    settings, more = _validate(file, env, tree, defaults_in(environ))
    problems += more
    problems += [problem for rule in (*RULES, *also) for problem in rule(tree)]
    return (None if problems else settings), _lines(problems)


def tree_of(path: str | Path, environ: Mapping[str, str]) -> Tree:
    """Return the values with their places, of settings in which ``read`` found no mistake."""
    file, env, _ = _layers(path, environ)
    assert file is not None, "it was read before"
    return overlay(file, env)


def written_in(path: str | Path) -> Tree:
    """Return the values of a file as they are written, with their references; empty if it cannot be read."""
    text, _ = _read_file(Path(path), "")
    return Tree(Place("")) if text is None else read_yaml(text, "")[0]


def notes(path: str | Path, environ: Mapping[str, str]) -> list[str]:
    """Return what is no mistake and yet worth a line, about settings in which ``read`` found no mistake."""
    return _lines(list(short_secrets(tree_of(path, environ))))


def endpoints_in(path: str | Path) -> list[str]:
    """Return the endpoint names in a file, even if it has mistakes; none if it cannot be read."""
    return written_in(path).names(("endpoints",))


def _layers(path: str | Path, environ: Mapping[str, str]) -> tuple[Tree | None, Tree, list[Problem]]:
    """Return the file and the environment with references resolved; no file if it cannot be read at all."""
    name = one_line(str(path))
    text, problems = _read_file(Path(path), name)
    if text is None:
        return None, Tree(Place(name)), problems
    file, problems = read_yaml(text, name)
    if problems and not file.data:
        return None, file, problems
    folder = Path(path).absolute().parent
    env, more = read_env(environ, file)
    problems += more
    problems += resolve(file, folder, environ, skip=set(env.marks))
    problems += resolve(env, folder, environ, skip=set())
    for layer in (file, env):
        in_force.learn(secrets_in(layer))
        _anchor_paths(layer, folder)
    return file, env, problems


def _lines(problems: list[Problem]) -> list[str]:
    ordered = sorted(problems, key=lambda p: (p.place.line == 0, p.place))
    return list(dict.fromkeys(str(problem) for problem in ordered))


def _read_file(path: Path, name: str) -> tuple[str | None, list[Problem]]:
    def refuse(cause: str, remedy: str) -> tuple[None, list[Problem]]:
        return None, [Problem(Place(name), (), cause, remedy)]

    try:
        if not path.exists():
            return refuse(
                "there is no such file",
                f"name the settings file (check FILE, other commands -c FILE), or set {CONFIG_VARIABLE}=FILE",
            )
        if not path.is_file():
            return refuse("is not a file", f"name the settings file itself, or set {CONFIG_VARIABLE}=PATH")
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            return refuse(f"is larger than {MAX_FILE_BYTES} bytes", "check that it is the settings file")
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as exc:
        return refuse(f"is not UTF-8 text (byte {exc.start})", "save it as UTF-8")
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not a path"
        return refuse(f"cannot be read ({reason})", "correct the path or the permissions")


def _anchor_paths(tree: Tree, folder: Path) -> None:
    """Make paths absolute; relative ones begin at the folder of the settings file."""
    sections: list[SettingsPath] = [("kafka", "tls"), ("admin", "tls"), *auth.tls_sections(tree)]
    tls = ((*section, key) for section in sections for key in CERTIFICATE_FILES)
    sources = (path for name in tree.names(("sources",)) for path in _source_paths(name))
    keys = (
        ("endpoints", name, "auth", "oauth2", "private_key", "key_file")
        for name in tree.names(("endpoints",))
    )
    templates = (("endpoints", name, "body", "template_file") for name in tree.names(("endpoints",)))
    for path in (*tls, ("kafka", "sasl", "token_ca_file"), *keys, *sources, *templates):
        value = tree.get(path)
        if isinstance(value, str) and value:
            tree.replace(path, str(folder / value))


def _source_paths(name: str) -> list[SettingsPath]:
    return [
        ("sources", name, "schemas"),
        ("sources", name, "schema_file"),
        *(("sources", name, "registry", key) for key in CERTIFICATE_FILES),
    ]


def _validate(
    file: Tree, env: Tree, tree: Tree, defaults: Mapping[str, Any]
) -> tuple[Settings | None, list[Problem]]:
    no_arguments: dict[str, object] = {}
    try:
        with layered(env.data, file.data, defaults):
            return Settings(**no_arguments), []  # type: ignore[arg-type]  # the values come from ``layered``
    except ValidationError as exc:
        return None, explain(exc, tree)
