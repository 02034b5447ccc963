"""Read the pinned dependencies: pins and hashes from a lock file, licences from the installed packages.

Invariant: every pinned package has a licence as an SPDX expression, or reading fails and names the package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tools.markdown import ROOT

RUNTIME, BUILD, DEVELOPMENT = (
    ROOT / f"{name}.lock" for name in ("requirements", "requirements-build", "requirements-dev")
)
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NEEDS = re.compile(r"[A-Za-z0-9._-]+")
_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "BSD-3-Clause": "BSD-3-Clause",
    "MIT": "MIT",
    "MIT License": "MIT",
    "MPL-2.0": "MPL-2.0",
    "PSF-2.0": "PSF-2.0",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""SPDX identifiers for what packages without ``License-Expression`` (PEP 639) write instead."""


class DependencyError(Exception):
    """A lock file and the installed packages do not fit together; the text contains the remedy."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned package: ``hashes`` are the SHA-256 of each distribution that may be installed."""

    name: str
    version: str
    hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dependency:
    """A pinned package with its licence, home page, and the names of the packages it requires."""

    pin: Pin
    licence: str
    home: str
    requires: tuple[str, ...]


def normal(name: str) -> str:
    """Return the name in its normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(lock: Path) -> list[Pin]:
    """Return the pins of a lock file, in its order."""
    pins: list[Pin] = []
    hashes: list[str] = []
    for line in lock.read_text("utf-8").splitlines():
        if match := _PIN.match(line):
            hashes = []
            pins.append(Pin(normal(match["name"]), match["version"], ()))
        elif match := _HASH.search(line):
            hashes.append(match[1])
            pins[-1] = Pin(pins[-1].name, pins[-1].version, tuple(hashes))
    return pins


def dependencies(lock: Path) -> list[Dependency]:
    """Return the packages of a lock file with what the installed ones declare. Raises ``DependencyError``."""
    pins = read_lock(lock)
    names = {pin.name for pin in pins}
    return [_described(pin, names) for pin in pins]


def _described(pin: Pin, names: set[str]) -> Dependency:
    try:
        declared = metadata.metadata(pin.name)
    except metadata.PackageNotFoundError:
        raise DependencyError(f"{pin.name} is not installed; run make setup") from None
    if declared["Version"] != pin.version:
        raise DependencyError(f"{pin.name} is not installed as {pin.version}; run make setup")
    requires = {needed for text in metadata.requires(pin.name) or () if (needed := _needed(text)) in names}
    return Dependency(pin, _licence(pin.name, declared), _home(declared), tuple(sorted(requires)))


def _needed(requirement: str) -> str | None:
    """Return the name of a required package, or None for one that only an extra requires."""
    match = _NEEDS.match(requirement)
    return normal(match[0]) if match and "extra ==" not in requirement else None


def _licence(name: str, declared: metadata.PackageMetadata) -> str:
    expression = _field(declared, "License-Expression")
    if expression:
        return expression
    classifiers = [text for text in declared.get_all("Classifier") or () if text.startswith("License")]
    for text in (_field(declared, "License"), *classifiers):
        if text in _SPDX:
            return _SPDX[text]
    raise DependencyError(f"{name} declares no licence that is known; add it to tools/dependencies.py")


def _home(declared: metadata.PackageMetadata) -> str:
    listed = map(str, declared.get_all("Project-URL") or ())
    urls: dict[str, str] = dict(text.split(", ", 1) for text in listed if ", " in text)
    by_label = {label.lower(): url for label, url in urls.items()}
    for label in ("source", "source code", "repository", "homepage", "github", "code"):
        if label in by_label:
            return by_label[label]
    return _field(declared, "Home-page") or next(iter(urls.values()), "")


def _field(declared: metadata.PackageMetadata, name: str) -> str:
    return str(declared[name]) if name in declared else ""
