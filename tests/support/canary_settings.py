"""A configuration with every kind of secret, each a canary, for endpoints on loopback."""

from __future__ import annotations

import base64
from typing import Any

BEARER = "cnry-bearer-7f3a95c1e28d4b60"
PASSWORD = 'cnry-pass/7f3a+95&c1"e28d4b6'
API_KEY = "cnry-api-key-5c1e28d4b67f3a9"
SESSION = "cnry-session-28d4b67f3a95c1e"
ROUTING = "cnryRouting7f3a95c1e28d4b67f3a95"
SLACK_PATH = "cnrySlackPath7f3a95c1e28d4b6"
QUERY = "cnry-query-d4b67f3a95c1e28xx"
IN_BODY = "cnry-in-body-67f3a95c1e28d4b"
IN_HEADER = "cnry-in-header-95c1e28d4b67f"
IN_EXPRESSION = "cnry_in_expression_1e28d4b67"
PROXY = "cnry-proxy-3a95c1e28d4b67f00"
LOGIN = {kind: f"cnry-login-{kind}-8d4b67f3a95c1e" for kind in ("basic", "bearer", "key", "query")}
SIGNING = base64.b64encode(b"cnry-signing-f3a95c1e28d4b67").decode()

ENVIRONMENT = {
    "BEARER": BEARER, "API_KEY": API_KEY, "SLACK_PATH": SLACK_PATH, "IN_BODY": IN_BODY,
    "IN_HEADER": IN_HEADER, "IN_EXPRESSION": IN_EXPRESSION, "SIGNING": f"whsec_{SIGNING}",
}  # fmt: skip
SENT = (
    BEARER,
    PASSWORD,
    API_KEY,
    SESSION,
    ROUTING,
    SLACK_PATH,
    QUERY,
    IN_BODY,
    IN_HEADER,
    PROXY,
    *LOGIN.values(),
)
"""The canaries that are part of a request, so that a receiver or proxy can repeat them."""
ALL = (*SENT, IN_EXPRESSION, SIGNING, "cnry-signing-f3a95c1e28d4b67")


def endpoints(port: int, proxy_port: int, **common: Any) -> dict[str, dict[str, Any]]:
    """Return one endpoint per kind of secret, with the settings ``common``."""
    at = f"http://127.0.0.1:{port}"
    login = base64.b64encode(f"agent:{PASSWORD}".encode()).decode()
    by_name: dict[str, dict[str, Any]] = {
        "bearer": {"headers": {"Authorization": "Bearer ${env:BEARER}"}, "secrets": ["${env:SIGNING}"]},
        "basic": {"headers": {"Authorization": f"Basic {login}"}},
        "key": {"headers": {"X-Api-Key": "${env:API_KEY}", "Cookie": f"sid={SESSION}; theme=dark"}},
        "pager": {"preset": "pagerduty", "routing_key": ROUTING},
        "slack": {"preset": "slack", "url": f"{at}/services/T0AB/B1CD/${{env:SLACK_PATH}}"},
        "zapier": {"preset": "zapier", "url": f"{at}/hooks/catch/1/{SLACK_PATH}/"},
        "query": {"url": f"{at}/workflows/in?sig={QUERY}&v=1", "preset": "teams"},
        "body": {
            "body": {"template": '{"key": "${env:IN_BODY}", "type": "{{ type }}"}'},
            "headers": {"X-Sum": "{{ id }} ${env:IN_HEADER}"},
        },
        "login-basic": {"auth": {"basic": {"username": "agent", "password": LOGIN["basic"]}}},
        "login-bearer": {"auth": {"bearer": {"token": LOGIN["bearer"]}}},
        "login-key": {"auth": {"api_key": {"header": "X-Own", "value": f"Own {LOGIN['key']}"}}},
        "login-query": {"auth": {"api_key": {"query": "k", "value": LOGIN["query"]}}},
        "broken": {"body": {"template": "{{ '${env:IN_EXPRESSION}' + 1 }}", "content_type": "text/plain"}},
        "proxied": {"proxy": f"http://agent:{PROXY}@127.0.0.1:{proxy_port}"},
    }
    return {name: {"url": f"{at}/{name}"} | settings | common for name, settings in by_name.items()}
