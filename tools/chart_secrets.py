"""Render the table of places in ``config`` that the chart accepts only as references, from the settings.

A ConfigMap is readable for everybody who may list ConfigMaps. The chart's ``_checks.tpl`` reads this table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import SecretStr

from bridge.settings.models.settings import Settings
from bridge.settings.reading.shape import alternatives, models
from tools.markdown import ROOT

TABLE = ROOT / "helm" / "hookferry" / "files" / "secret-places.json"
ANY = "*"

URL, HEADER = ("endpoints", ANY, "url"), ("endpoints", ANY, "headers", ANY)
OWN_RULES = frozenset({URL, HEADER, ("endpoints", ANY, "proxy")})
"""Secret for the program, which masks them, but often without a secret in them: the chart looks closer."""

SECRET_URL_PRESETS = ("discord", "slack", "teams", "teams-connector", "zapier")
"""Presets of receivers that accept a message from anyone who has the URL."""

SECRET_URL_HOSTS = (
    r"hooks\.slack\.com",
    r"hooks\.slack-gov\.com",
    r"discord\.com",
    r"discordapp\.com",
    r".*\.webhook\.office\.com",
    r"outlook\.office(365)?\.com",
    r".*\.logic\.azure\.(com|us|cn)",
    r".*\.powerplatform\.com",
    r".*\.powerautomate\.com",
    r"hooks\.zapier\.com",
    r"hook\..*\.make\.com",
    r"hook\.integromat\.com",
    r"chat\.googleapis\.com",
    r"maker\.ifttt\.com",
    r"api\.telegram\.org",
    r".*\.m\.pipedream\.net",
    r"(.*\.)?webhook\.site",
    r"alert\.victorops\.com",
)
"""Hosts of such receivers, for endpoints without a preset."""

HARMLESS_HEADERS = (
    "accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "content-disposition",
    "content-language", "date", "fineract-platform-tenantid", "from", "origin", "pragma", "prefer", "referer",
    "user-agent", "x-correlation-id", "x-environment", "x-request-id", "x-requested-with", "x-source",
    "x-team", "x-tenant", "x-tenant-id",
)  # fmt: skip
"""Headers whose value is not a secret; every other one is treated as one."""

_PARAMETERS = "[^=&#]*(?:token|key|secret|passw|pwd|credential|signature)[^=&#]*|sig|auth|code"
"""Names of query parameters that have a secret as their value, as a regular expression."""


def secret_paths(annotation: Any = Settings, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each ``SecretStr`` of the settings; ``*`` is a name that the operator chooses."""
    for member in alternatives(annotation):
        if member is SecretStr:
            yield path
        origin, arguments = get_origin(member), get_args(member)
        if origin is dict:
            yield from secret_paths(arguments[1], (*path, ANY))
        elif origin is not None:
            for argument in arguments:
                if argument is not Ellipsis:
                    yield from secret_paths(argument, path)
        for model in models(member):
            for name, field in model.model_fields.items():
                yield from secret_paths(field.annotation, (*path, name))


def pattern(path: tuple[str, ...]) -> str:
    """Return the regular expression of a path, whose steps are separated by slashes."""
    return "^" + "/".join("[^/]+" if step == ANY else re.escape(step) for step in path) + "$"


def table() -> dict[str, Any]:
    """Return the table; its regular expressions are in the syntax of both Python and Go."""
    secrets = sorted({pattern(path) for path in secret_paths() if path not in OWN_RULES})
    return {
        "secrets": secrets,
        "headers": pattern(HEADER),
        "harmlessHeaders": list(HARMLESS_HEADERS),
        "urls": pattern(URL),
        "secretUrlPresets": list(SECRET_URL_PRESETS),
        "secretUrlHosts": f"(?i)^https?://(?:{'|'.join(SECRET_URL_HOSTS)})(?::[0-9]+)?(?:[/?#]|$)",
        "secretParameters": f"(?i)[?&](?:{_PARAMETERS})=[^&#¤{{]",
        "login": "://[^/?#@]*@",
        "loginByReference": "://(?:[^/?#@:]*:)?¤+@",
    }


def render() -> dict[Path, str]:
    """Return the table as a file."""
    return {TABLE: json.dumps(table(), indent=2, ensure_ascii=False) + "\n"}
