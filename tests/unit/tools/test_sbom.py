"""The bill of materials lists what the lock file pins, with licences, hashes and a complete graph."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tools import licences, sbom
from tools.dependencies import (
    BUILD,
    DEVELOPMENT,
    RUNTIME,
    Dependency,
    DependencyError,
    Pin,
    dependencies,
    read_lock,
)
from tools.vendored import STATIC, scripts

ROOT = Path(__file__).resolve().parents[3]
DIGEST = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def packages() -> list[Dependency]:
    return dependencies(RUNTIME)


def test_every_pinned_package_has_its_hashes() -> None:
    pins = read_lock(RUNTIME)
    assert len(pins) > 30
    text = RUNTIME.read_text()
    assert sum(len(pin.hashes) for pin in pins) == text.count("--hash=sha256:")
    assert all(pin.hashes for pin in pins)


def test_the_lock_files_agree_on_the_versions() -> None:
    """Licences are read from the packages of the development environment, which must be those that run."""
    development = {pin.name: pin.version for pin in read_lock(DEVELOPMENT)}
    for pin in read_lock(RUNTIME):
        assert development[pin.name] == pin.version, pin.name


@pytest.mark.parametrize("lock", [RUNTIME, BUILD], ids=lambda lock: lock.name)
def test_every_licence_allows_use_in_a_closed_product(lock: Path) -> None:
    for package in dependencies(lock):
        assert licences.identifiers(package.licence) <= licences.ALLOWED, package.pin.name


def test_the_scripts_of_the_console_are_those_of_their_releases_with_licences_that_allow_use() -> None:
    """The hashes are of the files in the packages of npm; a change to one of them is a change of the code."""
    for script in scripts():
        assert script.licence in licences.ALLOWED
        assert len(script.text.read_text()) > 300, "the text of the licence is missing"
        for path, digest in script.files.items():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == digest, path.name
    known = {path.name for script in scripts() for path in script.files}
    own = {"console.js", "chart.js", "console.css"}
    assert {path.name for path in STATIC.iterdir() if path.suffix in (".js", ".css")} == known | own


def test_a_package_without_a_known_licence_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text("not-installed-here==1.0\n")
    with pytest.raises(DependencyError, match="not-installed-here is not installed; run make setup"):
        dependencies(lock)
    lock.write_text("click==0.1\n")
    with pytest.raises(DependencyError, match=r"click is not installed as 0\.1"):
        dependencies(lock)
    monkeypatch.setattr("tools.dependencies._SPDX", {})
    with pytest.raises(DependencyError, match="declares no licence that is known"):
        dependencies(RUNTIME)


def test_the_wheel_lists_every_package_with_version_licence_and_hashes(packages: list[Dependency]) -> None:
    made = sbom.document(packages, sbom.wheel_subject(None), None)
    assert (made["bomFormat"], made["specVersion"], made["version"]) == ("CycloneDX", "1.6", 1)
    listed = {(one["name"], one["version"]): one for one in made["components"]}
    vendored = {(script.package, script.version) for script in scripts()}
    assert listed.keys() == {(pin.name, pin.version) for pin in read_lock(RUNTIME)} | vendored
    for pin in read_lock(RUNTIME):
        one = listed[pin.name, pin.version]
        assert [digest["content"] for digest in one["hashes"]] == list(pin.hashes)
        assert one["licenses"]
        assert one["purl"] == f"pkg:pypi/{pin.name}@{pin.version}"


def test_every_package_is_reached_from_hookferry(packages: list[Dependency]) -> None:
    for base in (None, sbom.base_component(f"python@sha256:{DIGEST}")):
        made = sbom.document(packages, sbom.image_subject(), base)
        graph = {node["ref"]: node["dependsOn"] for node in made["dependencies"]}
        reached, waiting = set[str](), [made["metadata"]["component"]["bom-ref"]]
        while waiting:
            reference = waiting.pop()
            if reference not in reached:
                reached.add(reference)
                waiting += graph[reference]
        assert reached == graph.keys()
        assert {one["bom-ref"] for one in made["components"]} < reached


def test_the_image_lists_its_base_by_digest() -> None:
    assert sbom.base_component(f"python@sha256:{DIGEST}") == {
        "type": "container",
        "bom-ref": f"base:python@sha256:{DIGEST}",
        "name": "python",
        "version": f"sha256:{DIGEST}",
        "hashes": [{"alg": "SHA-256", "content": DIGEST}],
        "purl": f"pkg:oci/python@sha256%3A{DIGEST}",
    }
    assert sbom.base_component("python:3.12-slim")["version"] == "3.12-slim"
    with_port = sbom.base_component("host:5000/python:3.12")
    assert (with_port["name"], with_port["version"]) == ("host:5000/python", "3.12")


def run(folder: Path, *arguments: str) -> dict[str, Any]:
    assert sbom.main([*arguments, "--into", str(folder)]) == 0
    return {path.name.split("-")[-1]: json.loads(path.read_text()) for path in folder.iterdir()}


def test_the_same_input_gives_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    wheel = tmp_path / "hookferry.whl"
    wheel.write_bytes(b"a wheel")
    first = run(tmp_path / "a", "--wheel", str(wheel), "--base", f"python@sha256:{DIGEST}")
    assert run(tmp_path / "b", "--wheel", str(wheel), "--base", f"python@sha256:{DIGEST}") == first
    assert first.keys() == {"wheel.cdx.json", "image.cdx.json"}
    assert len(first["wheel.cdx.json"]["metadata"]["component"]["hashes"][0]["content"]) == 64
    wheel.write_bytes(b"another one")
    other = run(tmp_path / "c", "--wheel", str(wheel))
    assert other["wheel.cdx.json"]["serialNumber"] != first["wheel.cdx.json"]["serialNumber"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert run(tmp_path / "d")["image.cdx.json"]["metadata"]["timestamp"] == "1970-01-01T00:00:00+00:00"


def test_the_base_image_is_an_argument_that_the_image_names() -> None:
    """A digest fixes the base; the label shows which one an image was built on."""
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]
    assert 'org.opencontainers.image.base.name="${PYTHON_IMAGE}"' in text
    default = re.search(r"^ARG PYTHON_IMAGE=(\S+)", text, re.MULTILINE)
    used = re.search(r"^PYTHON_IMAGE \?= (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert default is not None
    assert used is not None
    assert default[1] == used[1]


def test_another_lock_file_is_listed_instead_if_its_packages_are_installed(tmp_path: Path) -> None:
    first = run(tmp_path / "a", "--lock", str(BUILD))["wheel.cdx.json"]
    vendored = {script.package for script in scripts()}
    assert {one["name"] for one in first["components"]} == {pin.name for pin in read_lock(BUILD)} | vendored
    (tmp_path / "x.lock").write_text("not-installed-here==1.0\n")
    assert sbom.main(["--lock", str(tmp_path / "x.lock"), "--into", str(tmp_path / "b")]) == 1


def test_a_pin_keeps_its_hashes_in_order(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text(f"A_b[x]==1.0 ; python_version < '3' \\\n    --hash=sha256:{DIGEST}\n    # via c\nd==2\n")
    assert read_lock(lock) == [Pin("a-b", "1.0", (DIGEST,)), Pin("d", "2", ())]
