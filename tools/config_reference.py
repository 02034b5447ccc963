"""Render the configuration reference from the settings models: one table for each group of keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from bridge.settings.models.registry import RegistrySettings
from bridge.settings.models.settings import Settings
from bridge.settings.models.sources import SOURCE_MODELS
from bridge.settings.reading import shape
from tools.markdown import generated_note

_HEAD = (
    f"# Configuration\n\n{generated_note('the descriptions in bridge/settings')}\n"
    + """
Hookferry reads one YAML file. `hookferry check FILE` lists every error in it with line and column. The
variable `HOOKFERRY_CONFIG` can name the file too. [config/bridge.yaml](../../config/bridge.yaml) is an
example to start from. With `schemas/hookferry.schema.json`, an editor completes and checks the file while
you type.

## Values from the environment and from files

You can use these references in any text of the file:

| Written | Becomes |
|---|---|
| `${env:NAME}` | the environment variable; an error if it is not set |
| `${env:NAME:-default}` | the environment variable, or the default if it is not set or empty |
| `${file:PATH}` | the text of the file without its last line break (64 KiB at most) |
| `$${` | the characters `${` |

Messages and logs never show a value that comes from a reference. References do not nest.

## Environment variables

An environment variable overrides a key: `HOOKFERRY_` and the key in upper case, `__` for one level down,
`_` for `-`. `HOOKFERRY_KAFKA__SESSION_TIMEOUT_S=30` sets `kafka.session_timeout_s: 30`. Write lists and
mappings as JSON: `HOOKFERRY_KAFKA__BOOTSTRAP_SERVERS='["kafka-1:9092"]'`. The environment wins over the
file. A variable that matches no key is an error. To set single keys of a source or an endpoint, define the
source or endpoint in the file, or in the JSON of `HOOKFERRY_SOURCES` or `HOOKFERRY_ENDPOINTS`. Hookferry
ignores the variables that Kubernetes sets for a Service named `hookferry` (`HOOKFERRY_PORT`,
`HOOKFERRY_SERVICE_HOST` and so on). The container image sets `HOOKFERRY_IN_CONTAINER=1`, which makes
`0.0.0.0` the default of `admin.host`; this variable overrides nothing.

## Paths

All settings that end in `_file`, `schemas` and `${file:…}` are relative to the folder of the settings file.
`state_dir` is relative to the working directory.
"""
)


def markdown() -> str:
    """Render the whole document."""
    sections = [_HEAD]
    for title, model in _groups((), Settings):
        intro = (model.__doc__ or "").strip().splitlines()[0]
        sections.append(f"## {title}\n\n{intro}\n\n{_table(model)}")
    return "\n".join(sections)


def _groups(path: tuple[str, ...], model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield (f"`{'.'.join(path)}`" if path else "Top level"), model
    for name, field in model.model_fields.items():
        if name == "sources" and model is Settings:
            for kind, source in SOURCE_MODELS.items():
                yield f"`sources.<name>` with `format: {kind}`", source
            yield "`sources.<name>.registry`", RegistrySettings
        elif name == "endpoints":
            yield from _groups(
                ("endpoints", "<name>"), shape.models(shape.slots(("endpoints", "x"))[0].annotation)[0]
            )
        else:
            for inner in shape.models(field.annotation):
                yield from _groups((*path, name), inner)


def _table(model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    rows = ["| Key | Type | Default | Meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        kind = _type(schema["properties"][name])
        default = "required" if field.is_required() else _default(schema["properties"][name])
        meaning = (field.description or "").replace("|", "\\|").replace("<", "&lt;")
        rows.append(f"| `{name}` | {kind} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


def _default(node: dict[str, Any]) -> str:
    if "default" not in node:
        return "see below"
    value = node["default"]
    if value is None or value == {}:
        return "none"
    return f"`{json.dumps(value)}`"


def _type(node: dict[str, Any]) -> str:  # noqa: PLR0911 - one line for each type of JSON Schema
    if members := node.get("anyOf") or node.get("oneOf"):
        kinds = dict.fromkeys(_type(member) for member in members if member.get("type") != "null")
        return " or ".join(kinds)
    if "enum" in node or "const" in node:
        return ", ".join(f"`{word}`" for word in node.get("enum", [node.get("const")]))
    match node.get("type"):
        case "array":
            return f"list of {_type(node['items']).replace('number', 'numbers')}"
        case "integer":
            return "whole number" + _bounds(node)
        case "number":
            return "number" + _bounds(node)
        case "boolean":
            return "true or false"
        case "object":
            return "mapping"
    formats = {
        "password": "text (secret)",
        "date-time": "instant",
        "path": "path",
        "ipv4network": "network",
        "ipv6network": "network",
    }
    return formats.get(node.get("format", ""), "mapping" if "$ref" in node else "text")


def _bounds(node: dict[str, Any]) -> str:
    return f", {node['minimum']} to {node['maximum']}" if "minimum" in node else ""
