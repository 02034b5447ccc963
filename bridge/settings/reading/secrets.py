"""References inside strings: ``${env:NAME}``, ``${env:NAME:-default}`` and ``${file:PATH}``.

A value that contains a reference is marked hidden in the tree and is never shown. A value with a bad
reference is marked broken, so that no second problem is reported for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path as FilePath

from bridge.settings.problem import Path, Problem, printable
from bridge.settings.reading.tree import Tree

MAX_FILE_BYTES = 65_536

_OPENING = re.compile(r"\$\$\{|\$\{")
_REFERENCE = re.compile(
    r"\$\{(?:env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?|file:(?P<file>[^${}\0]+))\}"
)


class _Unresolved(Exception):
    """A reference that cannot be resolved: cause and remedy."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


def resolve(tree: Tree, folder: FilePath, environ: Mapping[str, str], skip: set[Path]) -> list[Problem]:
    """Replace the references in every string of the tree; values under ``skip`` stay as they are."""
    problems = []
    for path, value in list(tree.walk()):
        if not isinstance(value, str) or "${" not in value:
            continue
        if any(path[:depth] in skip for depth in range(1, len(path) + 1)):
            continue
        tree.hidden.add(path)
        found = tree.references.setdefault(path, [])
        expanded, unresolved = _expand(value, folder, environ, found)
        if unresolved:
            tree.broken.add(path)
            problems += [Problem(tree.place(path), path, exc.cause, exc.remedy) for exc in unresolved]
        else:
            tree.replace(path, expanded)
    return problems


def _expand(
    text: str, folder: FilePath, environ: Mapping[str, str], found: list[str]
) -> tuple[str, list[_Unresolved]]:
    """Return the text with its references replaced, and all references that cannot be resolved.

    ``found`` gets the value of each reference.
    """
    parts: list[str] = []
    unresolved: list[_Unresolved] = []
    at = 0
    while opening := _OPENING.search(text, at):
        parts.append(text[at : opening.start()])
        if opening.group() == "$${":
            parts.append("${")
            at = opening.end()
            continue
        reference = _REFERENCE.match(text, opening.start())
        if reference is None:
            unresolved.append(
                _Unresolved(
                    "has a ${ that is neither ${env:NAME}, ${env:NAME:-default} nor ${file:PATH}",
                    "correct the reference (references do not nest), or write $${ for the characters ${",
                )
            )
            break  # its end is unknown, so the next reference cannot be found
        try:
            found.append(_lookup(reference, folder, environ))
            parts.append(found[-1])
        except _Unresolved as exc:
            unresolved.append(exc)
        at = reference.end()
    return "".join([*parts, text[at:]]), unresolved


def _lookup(reference: re.Match[str], folder: FilePath, environ: Mapping[str, str]) -> str:
    if file := reference["file"]:
        return _read(folder, file)
    name, fallback = reference["name"], reference["default"]
    value = environ.get(name)
    if fallback is not None:
        return value or fallback
    if value is None:
        raise _Unresolved(
            f"environment variable {name} is not set",
            f"set it, or write ${{env:{name}:-default}} for a default",
        )
    return value


def _read(folder: FilePath, file: str) -> str:
    shown = printable(file)
    path = folder / file
    try:
        if not path.is_file():
            raise _Unresolved(
                f"file {shown} does not exist", f"create it; a relative path begins at {folder}"
            )
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise _Unresolved(
                f"file {shown} is larger than {MAX_FILE_BYTES} bytes",
                "name a file that contains only the secret",
            )
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise _Unresolved(f"file {shown} is not UTF-8 text", "store the value as text") from None
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not a path"
        raise _Unresolved(
            f"file {shown} cannot be read ({reason})", "correct the path or the permissions"
        ) from None
