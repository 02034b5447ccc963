"""Render the page with the licence of every package that a wheel or an image of Hookferry installs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tools.dependencies import BUILD, RUNTIME, Dependency, dependencies
from tools.markdown import REFERENCE, generated_note, page, prose, table
from tools.vendored import scripts

PAGE = REFERENCE / "licences.md"
ALLOWED = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
)
"""Licences that allow use in a closed product. Another one needs a decision first."""

_INTRO = """
Hookferry has the licence Apache-2.0. It contains no code of the Python packages below: a wheel requires
them, and the image contains them unchanged. `make sbom` lists them with their hashes, in CycloneDX.

None of these licences restricts how you use or sell a service that contains Hookferry. MPL-2.0 requires that
changes to the files of that package itself are published; Hookferry changes none.
"""
_BASE = """
The image also contains Python (PSF-2.0) and the Debian packages of its base image. That image's own bill of
materials lists them.
"""
_SCRIPTS = """
The wheel contains these scripts unchanged, with their licences, in `bridge/console/static`. They are served
by the console itself.
"""


def identifiers(licence: str) -> set[str]:
    """Return the identifiers in a licence expression."""
    words = licence.replace("(", " ").replace(")", " ").split()
    return {word for word in words if word not in {"AND", "OR", "WITH"}}


def render() -> dict[Path, str]:
    """Return the page. Raises ``DependencyError``."""
    text = page(
        generated_note("the lock files"),
        "# Licences",
        prose(_INTRO),
        "## Required by the wheel, and in the image",
        _table(dependencies(RUNTIME)),
        prose(_BASE),
        "## In the pages of the console",
        prose(_SCRIPTS),
        _scripts(),
        "## Needed only to build the wheel",
        _table(dependencies(BUILD)),
    )
    return {PAGE: text}


def _table(packages: Iterable[Dependency]) -> str:
    rows = ((_link(package), package.pin.version, package.licence) for package in packages)
    return table(("package", "version", "licence"), rows)


def _scripts() -> str:
    rows = ((f"[{script.name}]({script.home})", script.version, script.licence) for script in scripts())
    return table(("script", "version", "licence"), rows)


def _link(package: Dependency) -> str:
    return (
        f"[{package.pin.name}]({package.home})" if package.home.startswith("https://") else package.pin.name
    )
