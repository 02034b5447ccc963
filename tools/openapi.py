"""Generate docs/reference/openapi.json: the description of the console's API, as the console serves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from bridge.console.access import Logins
from bridge.console.api.app import build_api
from bridge.settings.models.console import ConsoleSettings
from tools.markdown import ROOT

FILE = ROOT / "docs" / "reference" / "openapi.json"


def render() -> dict[Path, str]:
    """Return the file; the routes are described without being called."""
    nothing = cast("Any", None)
    document = build_api(nothing, nothing, Logins(ConsoleSettings())).openapi()
    return {FILE: json.dumps(document, indent=1, ensure_ascii=False) + "\n"}
