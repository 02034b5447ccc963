"""Writes what is generated from the models: the JSON Schema and the configuration reference.

``python -m tools.config_schema`` writes both into the checkout; ``--check`` writes nothing and
fails when either is not what the models say.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bridge.settings.models.settings import Settings
from tools import config_reference

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "schemas" / "hookferry.schema.json"
REFERENCE = ROOT / "docs" / "reference" / "configuration.md"

_REFERENCE_TEXT = {"type": "string", "pattern": r"\$\{(env|file):"}


def json_schema() -> dict[str, Any]:
    """Make the JSON Schema of the YAML file, for editors; references may stand for any scalar."""
    schema: dict[str, Any] = _with_references(Settings.model_json_schema())
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Hookferry settings"
    schema["$defs"]["Reference"] = {
        **_REFERENCE_TEXT,
        "description": "${env:NAME}, ${env:NAME:-default} or ${file:PATH}, alone or inside a text.",
    }
    return schema


def _with_references(node: Any) -> Any:
    """Let ``${…}`` stand wherever a number, flag, word or pattern is asked for; drop made-up titles."""
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
    if "patternProperties" in node:  # names of the user's choice, but none that does not fit
        result["additionalProperties"] = False
    if _is_narrow(node):
        outer = {key: result.pop(key) for key in ("description", "default") if key in result}
        return {**outer, "anyOf": [result, {"$ref": "#/$defs/Reference"}]}
    return result


def _is_narrow(node: dict[str, Any]) -> bool:
    if node.get("type") == "string":
        return bool({"enum", "pattern", "format"} & node.keys())
    return node.get("type") in {"integer", "number", "boolean"}


def _files() -> dict[Path, str]:
    return {
        SCHEMA: json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        REFERENCE: config_reference.markdown(),
    }


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` compare them; returns the exit status."""
    status = 0
    for path, text in _files().items():
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            name = path.relative_to(ROOT)
            sys.stderr.write(f"{name}: not what the models say; run python -m tools.config_schema\n")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
