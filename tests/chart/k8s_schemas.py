"""Write the schemas that kubeconform needs, without network: of Kubernetes, and of custom resources.

Usage: ``k8s_schemas.py FOLDER DEFINITIONS VERSION...``, versions such as 1.37.0. The schemas of Kubernetes
come from the Python package ``kubernetes-validate``. DEFINITIONS is a folder of CustomResourceDefinitions,
which may be missing. Exits with 3 if the package is missing.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import yaml


def main(folder: str, definitions: str, *versions: str) -> int:
    """Write ``FOLDER/v<version>-strict/*.json`` for each version; return the exit code."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        return 3
    bundled = Path(spec.origin).parent / "kubernetes-json-schema"
    for version in versions:
        source = bundled / f"v{version}-local-strict"
        if not source.is_dir():
            print(f"kubernetes-validate has no schemas of Kubernetes {version}", file=sys.stderr)
            return 1
        target = Path(folder) / f"v{version}-strict"
        target.mkdir(parents=True, exist_ok=True)
        for file in source.glob("*.json"):
            # References are absolute paths of a site; without that prefix they resolve in one folder.
            schema = json.loads(file.read_text().replace('"/api/_definitions.json#', '"_definitions.json#'))
            schema.pop("$id", None)
            (target / file.name).write_text(json.dumps(schema))
        for file in Path(definitions).glob("*.yaml"):
            for name, schema in custom_resources(yaml.safe_load(file.read_text())):
                (target / name).write_text(json.dumps(schema))
    return 0


def custom_resources(definition: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the file name and the schema of each version of a CustomResourceDefinition."""
    spec = definition["spec"]
    group = spec["group"].split(".")[0]
    kind = spec["names"]["kind"].lower()
    return [
        (f"{kind}-{group}-{version['name']}.json", strict(version["schema"]["openAPIV3Schema"]))
        for version in spec["versions"]
    ]


def strict(schema: Any) -> Any:
    """Refuse unknown fields, as the API server does, and accept number or text where it accepts both."""
    if isinstance(schema, list):
        return [strict(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if made.pop("x-kubernetes-int-or-string", False):
        made["type"] = ["integer", "string"]
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
