"""Render the JSON Schema of the settings file, and the configuration reference, from the settings models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bridge.settings.models.settings import Settings
from tools import config_reference
from tools.markdown import REFERENCE, ROOT

SCHEMA = ROOT / "schemas" / "hookferry.schema.json"
PAGE = REFERENCE / "configuration.md"

_REFERENCE_TEXT = {"type": "string", "pattern": r"\$\{(env|file):"}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the YAML file, for editors; it accepts a reference for any scalar."""
    schema: dict[str, Any] = _with_references(Settings.model_json_schema())
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Hookferry settings"
    schema["$defs"]["Reference"] = {
        **_REFERENCE_TEXT,
        "description": "${env:NAME}, ${env:NAME:-default} or ${file:PATH}, alone or inside a text.",
    }
    return schema


def _with_references(node: Any) -> Any:
    """Accept ``${…}`` for every number, flag, word or pattern; drop the titles that pydantic makes up."""
    if isinstance(node, list):
        return [_with_references(item) for item in node]
    if not isinstance(node, dict):
        return node
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key in {"properties", "patternProperties", "$defs"}:
            result[key] = {name: _with_references(child) for name, child in value.items()}
        elif key != "title":
            result[key] = value if key == "default" else _with_references(value)
    if "patternProperties" in node:  # the user chooses these names; reject the ones that do not match
        result["additionalProperties"] = False
    if _is_narrow(node):
        outer = {key: result.pop(key) for key in ("description", "default") if key in result}
        return {**outer, "anyOf": [result, {"$ref": "#/$defs/Reference"}]}
    return result


def _is_narrow(node: dict[str, Any]) -> bool:
    if node.get("type") == "string":
        return bool({"enum", "pattern", "format"} & node.keys())
    return node.get("type") in {"integer", "number", "boolean"}


def render() -> dict[Path, str]:
    """Return the schema and the page."""
    return {
        SCHEMA: json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        PAGE: config_reference.markdown(),
    }
