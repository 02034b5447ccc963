"""Extract the schemas of Kubernetes from ``kubernetes-validate`` for kubeconform, without network.

Usage: ``k8s_schemas.py FOLDER VERSION...``, versions such as 1.34.0. Exits with 3 if the package is missing.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path


def main(folder: str, *versions: str) -> int:
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
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
