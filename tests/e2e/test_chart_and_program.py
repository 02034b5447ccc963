"""The chart and the image match the program; checked without Helm and without Docker.

What the templates and the Dockerfile write down a second time (paths, ports, times, names of settings)
must be what the program does; a change on one side alone fails here, on any machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, SecretStr

from bridge.app import stop
from bridge.settings.models.endpoints import EndpointSettings
from bridge.settings.models.settings import ENV_DELIMITER, ENV_PREFIX, Settings
from bridge.settings.reading import shape
from bridge.settings.reading.env_source import CONFIG_VARIABLE, CONTAINER_VARIABLE, defaults_in

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "hookferry"
TEMPLATES = {path.name: path.read_text() for path in sorted((CHART / "templates").iterdir())}
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
ADMIN_SOURCE = (ROOT / "bridge" / "app" / "admin_server.py").read_text()
DEFAULTS = Settings.model_construct()

IN_CLEAR = {
    "endpoints.*.url": "most hold no secret, and a token in one looks like any other path",
    "endpoints.*.headers.*": "most hold no secret; the chart knows those that do by their names",
    "endpoints.*.proxy": "refused only with a user and a password in it",
}
"""Settings that may be secret but that the chart cannot refuse, with the reason."""


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Return the options below a value; a list or an empty map counts as one option."""
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from leaves(below, (*path, key))
    else:
        yield path


def read_by_templates() -> set[str]:
    """Return every ``.Values.a.b`` that a template names, or ``.values.a.b`` of its argument."""
    return {name for text in TEMPLATES.values() for name in re.findall(r"\.[Vv]alues\.([\w.]+)", text)}


def secrets(annotation: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Return the dotted paths of all secret settings, with ``*`` for a name that the operator chooses."""
    for member in shape.alternatives(annotation):
        if member is SecretStr:
            yield ".".join(path)
        elif isinstance(member, type) and issubclass(member, BaseModel):
            for name, field in member.model_fields.items():
                yield from secrets(field.annotation, (*path, name))
        elif getattr(member, "__origin__", None) is dict:
            yield from secrets(member.__args__[1], (*path, "*"))
        elif getattr(member, "__origin__", None) is tuple:
            yield from secrets(member.__args__[0], path)


def test_every_option_is_used_by_a_template() -> None:
    """``config`` is rendered as a whole; for any other option, a template names it or its map."""
    read = read_by_templates()
    dead = [
        ".".join(path)
        for path in leaves({key: value for key, value in VALUES.items() if key != "config"})
        if not {".".join(path[:depth]) for depth in range(1, len(path) + 1)} & read
    ]
    assert dead == []


def test_a_template_reads_no_option_that_values_yaml_lacks() -> None:
    known = {".".join(path[:depth]) for path in leaves(VALUES) for depth in range(1, len(path) + 1)}
    settings = {f"config.{name}" for name in Settings.model_fields}
    assert {name for name in read_by_templates() if name not in known | settings} == set()


def test_the_schema_allows_no_option_that_values_yaml_lacks() -> None:
    """At every depth, except ``config`` and the maps whose form Kubernetes defines."""
    shaped_by_kubernetes = {"config", "resources", "updateStrategy", "startup", "liveness", "readiness"}

    def unknown(schema: Mapping[str, Any], value: Mapping[str, Any], place: str) -> Iterator[str]:
        for key, below in schema.get("properties", {}).items():
            if key not in value:
                yield f"{place}{key}"
            elif key not in shaped_by_kubernetes and isinstance(value[key], Mapping):
                yield from unknown(below, value[key], f"{place}{key}.")

    assert list(unknown(SCHEMA, VALUES, "")) == ["global"]  # Helm's own


def test_the_configuration_in_values_yaml_contains_only_settings() -> None:
    unknown = [".".join(path) for path in leaves(VALUES["config"]) if not shape.slots(path)]
    assert unknown == []


@pytest.mark.parametrize("key", [("group",), ("drain_timeout_s",), ("admin", "port"), ("admin", "hosts")])
def test_a_default_of_the_chart_equals_that_of_the_program(key: tuple[str, ...]) -> None:
    """For a key set to null the program's default applies, and the pod must still match it."""
    in_values: Any = VALUES["config"]
    for step in key:
        in_values = in_values[step]
    default = shape.default(key)
    assert in_values == (list(default) if isinstance(default, tuple) else default)


def test_the_admin_port_of_a_pod_listens_where_probes_can_reach_it() -> None:
    """Outside a container it listens on loopback only; the image has the chart's default."""
    assert shape.default(("admin", "host")) == "127.0.0.1"
    assert VALUES["config"]["admin"]["host"] == defaults_in({CONTAINER_VARIABLE: "1"})["admin"]["host"]


def test_the_templates_fall_back_to_the_programs_defaults() -> None:
    fallbacks = dict(re.findall(r"(drain_timeout_s|\.port) \| default ([\w./]+)", TEMPLATES["_helpers.tpl"]))
    assert {name: float(value) for name, value in fallbacks.items()} == {
        "drain_timeout_s": DEFAULTS.drain_timeout_s,
        ".port": DEFAULTS.admin.port,
    }


def test_the_schema_bounds_the_drain_as_the_program_does() -> None:
    drain = SCHEMA["properties"]["config"]["properties"]["drain_timeout_s"]
    bounds = Settings.model_json_schema()["properties"]["drain_timeout_s"]
    assert drain["maximum"] == bounds["maximum"]


def test_the_pod_is_killed_only_after_the_process_would_have_abandoned_its_tasks() -> None:
    """The grace period is the drain plus some seconds; the program's overtime must fit into these."""
    extra = re.search(r"add \(\.Values\.config\.drain_timeout_s .*\) (\d+)", TEMPLATES["_helpers.tpl"])
    assert extra is not None
    assert int(extra[1]) > stop.OVERTIME_S


def test_the_variables_of_the_chart_are_settings() -> None:
    """A misspelled one would stop every pod, or the chart would refuse it without need."""
    named = {name for text in TEMPLATES.values() for name in re.findall(r"HOOKFERRY_[A-Z_]+[A-Z]", text)}
    assert named > {CONFIG_VARIABLE}
    for name in named - {CONFIG_VARIABLE}:
        assert shape.slots(tuple(name.removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER))), name


def test_the_admin_port_serves_the_paths_of_the_probes() -> None:
    served = set(re.findall(r'add_get\("(/\w+)"', ADMIN_SOURCE))
    asked = {path for text in TEMPLATES.values() for path in re.findall(r"path: (/\w+z|/metrics)\b", text)}
    assert asked == {"/healthz", "/readyz", "/metrics"}
    assert asked <= served


def test_the_chart_refuses_every_secret_in_clear() -> None:
    """By a table of places, made from the settings; ``test_chart_secrets.py`` runs the check itself."""
    patterns = json.loads((CHART / "files" / "secret-places.json").read_text())["secrets"]
    for place in set(secrets(Settings)) - set(IN_CLEAR):
        path = place.replace(".", "/")  # `*` is as good a name as any
        assert any(re.search(pattern, path) for pattern in patterns), f"{place} is rendered in clear"


def test_the_exceptions_are_secrets() -> None:
    assert set(IN_CLEAR) <= set(secrets(Settings))
    assert {"url", "headers", "proxy"} <= set(EndpointSettings.model_fields)
