"""Write the software bill of materials of a wheel and of an image, in CycloneDX 1.6 JSON.

``python -m tools.sbom --wheel dist/hookferry-….whl --base python@sha256:… --into dist``. The same input gives
the same bytes: there is no time in it unless SOURCE_DATE_EPOCH is set, and its serial number is made from its
content.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridge import __version__
from tools.dependencies import RUNTIME, Dependency, DependencyError, dependencies
from tools.vendored import Script, scripts

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:hookferry:sbom")
_DISTRIBUTIONS = "the SHA-256 of each distribution that requirements.lock accepts; one of them is installed"
_UNLISTED = "packages of the base image, which its own bill of materials lists; scan the image for them"


def purl(name: str, version: str) -> str:
    """Return the package URL of a package of the Python Package Index."""
    return f"pkg:pypi/{name}@{version}"


def component(dependency: Dependency) -> dict[str, Any]:
    """Return the component of a dependency."""
    pin, licence = dependency.pin, dependency.licence
    compound = " " in licence
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl(pin.name, pin.version),
        "name": pin.name,
        "version": pin.version,
        "purl": purl(pin.name, pin.version),
        "licenses": [{"expression": licence} if compound else {"license": {"id": licence}}],
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in pin.hashes],
        "properties": [{"name": "hookferry:hashes", "value": _DISTRIBUTIONS}],
    }
    if dependency.home:
        made["externalReferences"] = [{"type": "website", "url": dependency.home}]
    return made


def script_component(script: Script) -> dict[str, Any]:
    """Return the component of a script that the wheel contains."""
    return {
        "type": "library",
        "bom-ref": script.purl,
        "name": script.package,
        "version": script.version,
        "purl": script.purl,
        "licenses": [{"license": {"id": script.licence}}],
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in script.files.values()],
        "externalReferences": [{"type": "website", "url": script.home}],
    }


def document(
    packages: list[Dependency], subject: dict[str, Any], base: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the bill of materials of a wheel, or with ``base`` of an image."""
    versions = {package.pin.name: package.pin.version for package in packages}
    graph = {
        purl(package.pin.name, package.pin.version): [purl(name, versions[name]) for name in package.requires]
        for package in packages
    }
    required = {reference for references in graph.values() for reference in references}
    roots = [reference for reference in graph if reference not in required]
    components = [component(package) for package in packages]
    for script in scripts():
        components.append(script_component(script))
        roots.append(script.purl)
        graph[script.purl] = []
    if base is not None:
        components.insert(0, base)
        roots.insert(0, base["bom-ref"])
        graph[base["bom-ref"]] = []
    made: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            **_timestamp(),
            "tools": {
                "components": [
                    {"type": "application", "name": "hookferry tools.sbom", "version": __version__}
                ]
            },
            "component": subject,
        },
        "components": components,
        "dependencies": [
            {"ref": reference, "dependsOn": sorted(needed)}
            for reference, needed in {subject["bom-ref"]: roots, **graph}.items()
        ],
    }
    content = json.dumps(made, sort_keys=True)
    return {**made, "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}"}


def wheel_subject(wheel: Path | None) -> dict[str, Any]:
    """Return the component of Hookferry's wheel, with its hash if the file exists."""
    made: dict[str, Any] = {
        "type": "application",
        "bom-ref": purl("hookferry", __version__),
        "name": "hookferry",
        "version": __version__,
        "purl": purl("hookferry", __version__),
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    if wheel is not None:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        made["hashes"] = [{"alg": "SHA-256", "content": digest}]
    return made


def image_subject() -> dict[str, Any]:
    """Return the component of Hookferry's image."""
    return {
        **wheel_subject(None),
        "type": "container",
        "properties": [{"name": "hookferry:not-listed", "value": _UNLISTED}],
    }


def base_component(base: str) -> dict[str, Any]:
    """Return the component of the base image: ``name:tag`` or ``name@sha256:…``."""
    name, _, digest = base.partition("@sha256:")
    folder, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    repository = f"{folder}/{last}" if folder else last
    version = f"sha256:{digest}" if digest else tag or "latest"
    made: dict[str, Any] = {
        "type": "container",
        "bom-ref": f"base:{base}",
        "name": repository,
        "version": version,
    }
    if digest:
        made["hashes"] = [{"alg": "SHA-256", "content": digest}]
        made["purl"] = f"pkg:oci/{last}@sha256%3A{digest}"
    return made


def _timestamp() -> dict[str, str]:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return {"timestamp": datetime.fromtimestamp(int(epoch), UTC).isoformat()} if epoch else {}


def main(arguments: list[str]) -> int:
    """Write both files; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.sbom")
    parser.add_argument("--wheel", type=Path, help="the built wheel, for its hash")
    parser.add_argument("--base", default="python:3.14-slim", help="base image: name:tag or name@sha256:…")
    parser.add_argument("--lock", type=Path, default=RUNTIME, help="lock file of what is installed")
    parser.add_argument("--into", type=Path, default=Path("dist"), help="folder of the files")
    options = parser.parse_args(arguments)
    try:
        packages = dependencies(options.lock)
    except DependencyError as exc:
        sys.stderr.write(f"sbom: {exc}\n")
        return 1
    options.into.mkdir(parents=True, exist_ok=True)
    base = base_component(options.base)
    for kind, made in {
        "wheel": document(packages, wheel_subject(options.wheel), None),
        "image": document(packages, image_subject(), base),
    }.items():
        path = options.into / f"hookferry-{__version__}-{kind}.cdx.json"
        path.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{path}: {len(made['components'])} components")
    if "@sha256:" not in options.base:
        print(
            f"note: the base image {options.base} is named by its tag, which may change; build with a digest"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
