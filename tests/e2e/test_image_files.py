"""The Dockerfile, read without Docker: it copies existing files and matches the program and the chart."""

from __future__ import annotations

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

import bridge
from bridge.app import stop
from bridge.settings.models.settings import Settings
from bridge.settings.reading.env_source import CONFIG_VARIABLE, CONTAINER_VARIABLE, defaults_in

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "docker.md").read_text()
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "helm" / "hookferry" / "values.yaml").read_text())
POD = (ROOT / "helm" / "hookferry" / "templates" / "_pod.tpl").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions() -> list[tuple[str, str]]:
    """Return keyword and arguments of each instruction, with continued lines joined and without comments."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for line in joined.splitlines() if line for word, _, rest in [line.partition(" ")]]


def of(word: str) -> list[str]:
    """Return the arguments of each instruction with this keyword."""
    return [rest for name, rest in instructions() if name == word]


def last_stage() -> list[tuple[str, str]]:
    """Return the instructions of the final stage."""
    every = instructions()
    return every[max(at for at, (word, _) in enumerate(every) if word == "FROM") :]


def environment() -> dict[str, str]:
    """Return the environment variables of the final stage."""
    return dict(pair.split("=", 1) for word, rest in last_stage() if word == "ENV" for pair in rest.split())


def sources() -> list[str]:
    """Return every file or folder of the project that is copied."""
    return [name for rest in of("COPY") if "--from=" not in rest for name in rest.split()[:-1]]


def ignored(name: str) -> bool:
    """Return True if .dockerignore excludes a file of the project's root; the last rule decides."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.strip()
        if rule and not rule.startswith("#") and fnmatch(name, rule.removeprefix("!")):
            verdict = not rule.startswith("!")
    return verdict


def test_every_copied_file_exists_and_reaches_the_build() -> None:
    assert "bridge" in sources()
    for name in sources():
        assert (ROOT / name).exists(), name
        assert not ignored(name), f".dockerignore keeps {name} out"


def test_every_file_that_the_build_reads_is_copied() -> None:
    """The build backend fails without the files that pyproject.toml names."""
    project = PROJECT["project"]
    named = {project["readme"], *project.get("license-files", ()), "pyproject.toml"}
    assert named <= set(sources())


@pytest.mark.parametrize("name", [".git", "tests", "docs", "helm", "state", "bridge.yaml", ".venv", ".env"])
def test_nothing_else_reaches_the_build(name: str) -> None:
    """A secret next to the Dockerfile would remain in a layer."""
    assert ignored(name)


def test_all_stages_have_the_same_base() -> None:
    """A virtual environment does not run on another Python."""
    assert {base.split(" AS ")[0] for base in of("FROM")} == {"${PYTHON_IMAGE}"}
    default = next(rest for word, rest in instructions() if rest.startswith("PYTHON_IMAGE="))
    minor = re.fullmatch(r"PYTHON_IMAGE=python:3\.(\d+)-slim", default)
    least = re.match(r">=3\.(\d+)", PROJECT["project"]["requires-python"])
    assert minor is not None
    assert least is not None
    assert int(minor[1]) >= int(least[1])


def test_every_installation_is_pinned_or_offline() -> None:
    installs = [
        step for rest in of("RUN") for step in rest.split("&&") if re.search(r"pip\b.* install ", step)
    ]
    assert len(installs) == 3
    for step in installs:
        assert "--require-hashes" in step or "--no-index" in step, step


def test_the_last_stage_has_no_installer_and_compiles_nothing() -> None:
    steps = [rest for word, rest in last_stage() if word == "RUN"]
    assert any(re.search(r"rm -rf \S*site-packages/\* .*ensurepip .*/pip\*", step) for step in steps)
    assert not any(re.search(r"apt|pip install|gcc|curl", step) for step in steps)


def test_the_user_is_a_number_and_the_same_as_in_the_chart() -> None:
    """Kubernetes refuses a user name, because it cannot verify that it is not root."""
    context = VALUES["podSecurityContext"]
    assert of("USER") == [f"{context['runAsUser']}:{context['runAsGroup']}"]
    assert context["fsGroup"] == context["runAsGroup"] != 0
    created = next(rest for rest in of("RUN") if "useradd" in rest)
    assert f"--uid {context['runAsUser']} --gid {context['runAsGroup']}" in created


def test_image_and_chart_agree_on_folders_and_port() -> None:
    folder = of("WORKDIR")[-1]
    assert of("VOLUME") == [f'["{folder}"]']
    assert VALUES["config"]["state_dir"] == folder
    assert of("EXPOSE") == [str(Settings.model_fields["admin"].get_default(call_default_factory=True).port)]
    assert environment()[CONFIG_VARIABLE] in re.findall(rf"{CONFIG_VARIABLE}\s+value: (\S+)", POD)


def test_the_admin_port_of_the_image_can_be_published() -> None:
    """Its process listens on all addresses of the container; a setting in the file still wins."""
    assert environment()[CONTAINER_VARIABLE] == "1"
    assert defaults_in(environment()) == {"admin": {"host": "0.0.0.0"}}


def test_the_image_runs_the_command_of_the_project_as_process_1() -> None:
    """The command must be a list: a shell would not forward SIGTERM."""
    entry, command = of("ENTRYPOINT"), of("CMD")
    assert entry == ['["hookferry"]']
    assert command == ['["run"]']
    assert "hookferry" in PROJECT["project"]["scripts"]
    assert of("STOPSIGNAL") == ["SIGTERM"]


def test_make_tags_the_image_with_the_tag_of_the_chart() -> None:
    run = subprocess.run(
        ["make", "--dry-run", "image"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert f"--tag {VALUES['image']['repository']}:{bridge.__version__} " in run.stdout
    assert f"--build-arg VERSION={bridge.__version__} " in run.stdout


def test_the_page_builds_the_version_of_this_tree() -> None:
    assert set(re.findall(r"hookferry:(\d+\.\d+\.\d+)", PAGE)) == {bridge.__version__}
    assert set(re.findall(r"VERSION=(\d+\.\d+\.\d+)", PAGE)) == {bridge.__version__}


def test_the_commands_on_the_page_give_the_process_time_to_stop() -> None:
    needs = Settings.model_fields["drain_timeout_s"].default + stop.OVERTIME_S
    given = re.findall(r"(?:--stop-timeout |stop_grace_period: )(\d+)", PAGE)
    assert len(given) == 2
    assert all(int(seconds) >= needs for seconds in given)


def test_the_compose_example_is_as_restricted_as_the_docker_command() -> None:
    compose = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert compose is not None
    service = yaml.safe_load(compose[1])["services"]["hookferry"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["tmpfs"] == ["/tmp"]
    mounted = {mount.split(":")[1] for mount in service["volumes"]}
    assert mounted == {environment()[CONFIG_VARIABLE], of("WORKDIR")[-1]}
    for variable in (name for name in service["environment"] if name.startswith("HOOKFERRY_")):
        assert variable == "HOOKFERRY_KAFKA__BOOTSTRAP_SERVERS"
