"""Reads the settings from the file and the environment, or lists every mistake in them.

Steps: read the file, parse it, apply the environment, resolve references, make paths absolute, validate, then
apply the rules that span several keys. One run finds all mistakes, unless the YAML syntax is wrong.

Invariant: all secrets are in force for ``bridge.telemetry.scrub`` before any message about them is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from bridge.errors import ConfigError
from bridge.settings.models.settings import Settings, layered
from bridge.settings.problem import Path as SettingsPath
from bridge.settings.problem import Place, Problem, one_line
from bridge.settings.reading.env_source import CONFIG_VARIABLE, defaults_in, read_env
from bridge.settings.reading.explain import explain
from bridge.settings.reading.secret_values import secrets_in
from bridge.settings.reading.secrets import resolve
from bridge.settings.reading.stand_ins import build_repaired
from bridge.settings.reading.tree import Tree, overlay
from bridge.settings.reading.yaml_source import read_yaml
from bridge.settings.rules import auth
from bridge.settings.rules.logins import CERTIFICATE_FILES
from bridge.settings.rules.service import RULES, Rule
from bridge.settings.uses import Uses
from bridge.telemetry.scrub import in_force

MAX_FILE_BYTES = 1_048_576


class Reading(NamedTuple):
    """What a file and the environment contain. ``settings`` is None if there are problems.

    ``values`` are those of the problems without which the settings could be built: references, and values
    that are not valid by themselves. ``tree`` is None if the file cannot be read at all. ``defaults`` are
    those that differ where the process runs.
    """

    settings: Settings | None
    problems: list[Problem]
    values: list[Problem]
    tree: Tree | None
    defaults: Mapping[str, Any]

    @property
    def lines(self) -> list[str]:
        """The problems, one line each, in file order."""
        return to_lines(self.problems)

    def repaired(self) -> Settings | None:
        """Return settings without any value that has a problem; None if that is not possible.

        Sources and endpoints that cannot be repaired are left out.
        """
        if self.settings is not None:
            return self.settings
        if self.tree is None:
            return None
        return build_repaired(self.tree, self.problems, self.defaults, drop=True)


def read(path: str | Path, environ: Mapping[str, str], also: Iterable[Rule] = ()) -> Reading:
    """Read the settings, and find every mistake in them.

    ``also``: further rules, from packages that this one must not import.
    """
    file, env, problems = _layers(path, environ)
    if file is None:
        return Reading(None, problems, problems, None, {})
    tree = overlay(file, env)
    defaults = defaults_in(environ)
    settings, more = _validate(file, env, tree, defaults)
    problems += more
    by_rules = [problem for rule in (*RULES, *also) for problem in rule(tree)]
    whole = None if problems or by_rules else settings
    return Reading(whole, [*problems, *by_rules], problems, tree, defaults)


def read_for(path: str | Path, environ: Mapping[str, str], uses: Uses) -> tuple[Settings | None, list[str]]:
    """Return the settings for a command that uses only some of them, or None and all mistakes.

    A mistake elsewhere, such as a secret that is missing, gives that setting its default or a stand-in.
    """
    reading = read(path, environ)
    if reading.settings is not None:
        return reading.settings, []
    if reading.tree is None or any(uses(problem.path) for problem in reading.problems):
        return None, reading.lines
    return build_repaired(reading.tree, reading.values, reading.defaults, drop=False), reading.lines


def tree_of(path: str | Path, environ: Mapping[str, str]) -> Tree:
    """Return the values with their places, of settings in which ``read`` found no mistake."""
    file, env, _ = _layers(path, environ)
    assert file is not None, "it was read before"
    return overlay(file, env)


def names_in_file(path: str | Path, section: str) -> list[str]:
    """Return the names of the sources or endpoints in a file, even if it has mistakes."""
    return written_in(path).names((section,))


def listed_types(path: str | Path) -> tuple[list[str], bool]:
    """Return the event types that the endpoints of a file list, and True if a source is Fineract's."""
    tree = written_in(path)
    listed = [
        text
        for name in tree.names(("endpoints",))
        for _, text in tree.texts(("endpoints", name, "events"))
        if not set(text) & set("!*?[")
    ]
    formats = [tree.get(("sources", name, "format")) for name in tree.names(("sources",))]
    return listed, "fineract" in formats


def written_in(path: str | Path) -> Tree:
    """Return what is written in a file, with its references as text; nothing without a file."""
    name = one_line(str(path))
    text, _ = _read_file(Path(path), name)
    return Tree(Place(name)) if text is None else read_yaml(text, name)[0]


def schema_folders(path: str | Path, environ: Mapping[str, str]) -> dict[str, Path]:
    """Return the schema folder of each Fineract source, even if it does not exist or other keys are wrong.

    Raises ``ConfigError`` if the file cannot be read, or what a folder refers to is missing.
    """
    file, env, problems = _layers(path, environ)
    wrong = [one for one in problems if one.path[:1] == ("sources",) and one.path[2:] == ("schemas",)]
    if file is None or wrong:
        raise ConfigError(to_lines(wrong or problems))
    tree = overlay(file, env)
    return {
        name: Path(folder)
        for name in tree.names(("sources",))
        if tree.text(("sources", name, "format")) == "fineract"
        and (folder := tree.text(("sources", name, "schemas")))
    }


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


def to_lines(problems: Iterable[Problem]) -> list[str]:
    """Return the problems as text, in file order, those of the environment last."""
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
    for path in (
        *tls,
        ("kafka", "sasl", "token_ca_file"),
        ("console", "oidc", "ca_file"),
        *keys,
        *sources,
        *templates,
    ):
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
