"""A configuration in which every setting has a value of its own, so that no wire can be swapped unseen."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

KEY, OTHER_KEY = b"k" * 24, b"o" * 25
SECRETS = tuple(f"whsec_{base64.b64encode(key).decode()}" for key in (KEY, OTHER_KEY))
FORM = {
    "header": "X-Own-Signature", "algorithm": "sha512", "encoding": "base64", "key_encoding": "hex",
    "head": "t={timestamp} ", "prefix": "sig=", "separator": ";", "signs": "{id}-{timestamp}-{body}",
    "timestamp_header": "X-Own-Time",
}  # fmt: skip
BEGINS_S = 1_800_000_000
"""When the second key of the own form takes over from the first."""
BEGINS = "2027-01-15T08:00:00Z"
ROUTING_KEY = "R0ut1ngK3y" + "x" * 22
SCHEMA = {"type": "record", "name": "Paid", "namespace": "shop", "fields": [{"name": "id", "type": "string"}]}

MAX_VALUE_BYTES = {
    "fineract": 2001, "json": 2002, "cloudevents": 2003, "debezium": 2004, "confluent": 2005,
    "apicurio": 2006, "avro": 2007, "eventuate": 2008, "modulith": 2009,
}  # fmt: skip


TIME_UNITS = {"json": "ms", "debezium": "us", "confluent": "ns", "avro": "us", "modulith": "ns"}


def example(folder: Path) -> dict[str, Any]:
    """Return the settings as plain data; ``folder`` gets the files that they name."""
    (folder / "schemas").mkdir()
    for file in (folder / "paid.avsc", folder / "schemas" / "paid.avsc"):
        file.write_text(json.dumps(SCHEMA))
    (folder / "body.txt").write_text("from the file {{ type }}")
    return {
        "group": "glue",
        "kafka": {
            "bootstrap_servers": ["k1.test:9092", "k2.test:9093"],
            "security_protocol": "SASL_SSL",
            "tls": {
                "ca_file": "kafka-ca.pem", "cert_file": "kafka-cert.pem", "key_file": "kafka-key.pem",
                "key_password": "kafka-key-password", "check_hostname": False,
            },
            "sasl": {"mechanism": "SCRAM-SHA-512", "username": "kafka-user", "password": "kafka-password"},
            "session_timeout_s": 41.0,
            "heartbeat_interval_s": 2.5,
            "rebalance_timeout_s": 71.0,
            "group_instance_id": "pod-7",
            "replication_factor": 5,
            "create_topics": False,
            "compression": "gzip",
        },
        "sources": {name: _source(name, folder) for name in MAX_VALUE_BYTES},
        "endpoints": {
            "crm": _crm(),
            "many": {
                "url": "https://many.test/hooks",
                "batch": {"max_events": 19, "max_bytes": 70_019, "max_wait_s": 0.19, "as": "ndjson"},
                "compress": "zstd",
                "compress_above_bytes": 1919,
            },
            "file": {
                "url": "https://file.test/hooks",
                "body": {"template_file": str(folder / "body.txt"), "content_type": "text/plain"},
                "signing": {
                    "form": FORM,
                    "keys": [
                        {"secret": KEY.hex(), "until": BEGINS},
                        {"secret": OTHER_KEY.hex(), "since": BEGINS},
                    ],
                },
            },
            "thin": {
                "url": "https://thin.test/hooks",
                "body": "thin",
                "proxy": "http://user:word@proxy.test:3129",
                "signing": {"form": "shopify", "keys": [KEY.decode()]},
            },
            "basic": {
                "url": "https://basic.test/hooks",
                "auth": {"basic": {"username": "basic-user", "password": "basic-password"}},
            },
            "bearer": {"url": "https://bearer.test/hooks", "auth": {"bearer": {"token": "bearer-token"}}},
            "keyed": {
                "url": "https://keyed.test/hooks",
                "auth": {"api_key": {"header": "X-Glue-Key", "value": "key-value"}},
            },
            "queried": {
                "url": "https://queried.test/hooks",
                "auth": {"api_key": {"query": "glue-key", "value": "query-key-value"}},
            },
            "oauth": _oauth(folder) | {"tls": _files(folder, "tls") | {"server_name": "crm.internal.test"}},
            "keyed-oauth": _keyed_oauth(),
            "oauth-direct": _oauth(folder, use_proxy=False) | {"proxy": "http://proxy.test:3129"},
            "oauth-through-proxy": _oauth(folder) | {"proxy": "http://proxy.test:3129"},
            "pager": {
                "url": "https://events.pagerduty.com/v2/enqueue",
                "preset": "pagerduty",
                "routing_key": ROUTING_KEY,
            },
        },
        "egress": {
            "allow": ["10.9.0.0/16"], "proxies": ["10.7.0.0/16"], "ports": [443, 8443], "unresolved": "proxy",
        },
        "dedupe": {"window_s": 1234.0, "max_keys": 4321},
        "history": {"retention_s": 777.0, "max_body_bytes": 30_001, "bodies": "failures"},
        "park_oversize": "stub",
        "commit_interval_s": 0.35,
        "reload": "signal",
        "drain_timeout_s": 21.5,
        "memory_budget": "333MiB",
        "state_dir": str(folder / "state"),
        "admin": {
            "host": "127.0.0.9", "port": 8099, "hosts": ["admin.test"],
            "tls": {"cert_file": "admin.pem", "key_file": "admin.key", "key_password": "admin-password"},
        },
        "console": {
            "host": "127.0.0.8", "port": 8097, "hosts": ["console.test"], "folder": str(folder / "console"),
            "store": "postgresql://user:word@db.test/console", "keep_s": 888.0, "max_size_mb": 55,
            "tokens": {"ann": {"token": "a" * 20, "role": "operate"}},
            "feeds": {"crm": "f" * 20},
            "oidc": {
                "issuer": "https://login.test/", "audience": "us", "role_claim": "groups",
                "operate": ["admins"], "read": ["staff"], "client_id": "console-client",
                "client_secret": "console-client-secret", "ca_file": "oidc-ca.pem",
                "redirect_uri": "https://console.test/login/callback",
            },
        },
        "log": {"level": "warning", "format": "json", "attempts": "failures"},
        "tracing": {
            "endpoint": "https://collector.test/v1/traces", "headers": {"X-Glue-Login": "tracing-login"},
            "ca_file": "collector-ca.pem", "sample_ratio": 0.375, "service_name": "glue-service",
            "timeout_s": 4.25,
        },
    }  # fmt: skip


OAUTH = {
    "mechanism": "OAUTHBEARER",
    "token_url": "https://login.test/token",
    "client_id": "oauth-client",
    "client_secret": "oauth-secret",
    "scope": "oauth-scope",
    "token_ca_file": "token-ca.pem",
}
"""The login of ``kafka.sasl`` that cannot be set together with user name and password."""
MSK = {"mechanism": "AWS_MSK_IAM", "aws_region": "eu-central-1"}
"""One more login of ``kafka.sasl``."""

TLS_FILES = {
    section: {
        "ca_file": f"{section}-ca.pem",
        "cert_file": f"{section}-cert.pem",
        "key_file": f"{section}-key.pem",
        "key_password": f"{section}-key-password",
        "min_version": "1.3",
    }
    for section in ("tls", "auth.oauth2.tls")
}
"""The certificates of an endpoint, and of its token server."""


def _keyed_oauth() -> dict[str, Any]:
    """Return an endpoint whose client logs in with a key, which nothing reads here."""
    key = {
        "key_file": "private.key",
        "key_password": "private-password",
        "key_id": "key-7",
        "rsa_algorithm": "RS256",
    }
    login = {
        "token_url": "https://login.test/endpoint",
        "client_id": "keyed-client",
        "auth_style": "private_key_jwt",
        "private_key": key,
    }
    return {"url": "https://keyed.test/hooks", "auth": {"oauth2": login}}


def _files(folder: Path, section: str) -> dict[str, str]:
    """Return the TLS settings of a section, and create the files, whose content nothing reads here."""
    settings = dict(TLS_FILES[section])
    for key in ("ca_file", "cert_file", "key_file"):
        file = folder / settings[key]
        file.touch()
        settings[key] = str(file)
    return settings


def _oauth(folder: Path, use_proxy: bool = True) -> dict[str, Any]:
    login = {
        "token_url": "https://login.test/endpoint",
        "client_id": "endpoint-client",
        "client_secret": "endpoint-secret",
        "scope": "endpoint-scope",
        "audience": "endpoint-audience",
        "auth_style": "body",
        "use_proxy": use_proxy,
        "tls": _files(folder, "auth.oauth2.tls"),
    }
    return {"url": "https://oauth.test/hooks", "auth": {"oauth2": login}}


def _crm() -> dict[str, Any]:
    return {
        "url": "https://crm.test/hooks/{{ entity }}",
        "method": "PUT",
        "headers": {"X-Fixed": "fixed-value", "X-Made": "made of {{ type }}"},
        "body": {"template": "inline {{ type }}", "content_type": "text/x-inline"},
        "events": ["Loan*", "!LoanX"],
        "sources": ["json", "avro"],
        "topics": ["t-json*"],
        "tenants": ["acme*"],
        "record_headers": {"region": ["eu-*"]},
        "when": "data.a == 1",
        "secrets": list(SECRETS),
        "signature_failures": {"statuses": [400, 419], "texts": ["bad seal"]},
        "concurrency": 17,
        "rate": ["7/3s", "90/1m"],
        "timeout_s": 9.5,
        "start": "2026-01-02T03:04:05Z",
        "on_lost_offset": "stop",
        "source_address": "127.0.0.7",
        "window": 333,
        "window_bytes": 70_001,
        "retry": {
            "base_s": 1.5, "cap_s": 99.0, "retry_after_cap_s": 123.0, "max_attempts": 11, "max_age_s": 5555.0,
            "retry_on": [401, 404],
        },
        "on_park": "hold",
        "park_limit": {"events": 21, "share": 0.25, "window_s": 77.0},
        "breaker": {"failures": 13, "window_s": 44.0, "open_s": 6.5, "max_open_s": 66.0},
    }  # fmt: skip


def _source(format: str, folder: Path) -> dict[str, Any]:
    common = {"format": format, "topics": [f"t-{format}"], "max_value_bytes": MAX_VALUE_BYTES[format]}
    places = {name: f"{format}.{name}" for name in ("id", "type", "entity", "time", "data", "tenant")}
    places["time_unit"] = TIME_UNITS.get(format, "s")
    match format:
        case "fineract":
            return common | {"schemas": str(folder / "schemas"), "bulk": "whole", "non_finite": "string"}
        case "cloudevents":
            return common
        case "eventuate":
            return common | {"tenant": places["tenant"]}
        case "debezium":
            del places["data"]
            return common | places | {"envelope": True, "registry": registry(format), "non_finite": "null"}
        case "confluent":
            return common | places | {"registry": registry(format), "non_finite": "string"}
        case "apicurio":
            return (
                common | places | {"registry": registry(format), "prefix_ids": "global", "non_finite": "null"}
            )
        case "avro":
            return common | places | {"schema_file": str(folder / "paid.avsc"), "non_finite": "string"}
    return common | places


def registry(format: str) -> dict[str, Any]:
    """Return the registry of one source; each source has its own words."""
    login = {"token": "apicurio-token"}
    if format != "apicurio":
        login = {"username": f"{format}-user", "password": f"{format}-password"}
    return {
        "url": f"https://{format}.test/api",
        "api": "apicurio" if format == "debezium" else "confluent",
        "ca_file": f"{format}-ca.pem",
        "cert_file": f"{format}-cert.pem",
        "key_file": f"{format}-key.pem",
        "key_password": f"{format}-key-password",
        "timeout_s": {"debezium": 3.1, "confluent": 3.2, "apicurio": 3.3}[format],
        **login,
    }
