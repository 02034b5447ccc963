"""The rows of ``READS`` for the network: the egress policy, and the admin port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bridge.http.egress_policy import EgressPolicy
from tests.support.parts import part
from tests.unit.wiring.built import Read, read_egress_refuses, read_port_refusal

NETWORK_READS: dict[str, tuple[Any, Read]] = {
    "egress.allow": (
        (False, True),
        lambda b: (read_egress_refuses(b, "10.9.1.1"), read_egress_refuses(b, "10.8.1.1")),
    ),
    "egress.proxies": (
        ["10.9.0.0/16", "10.7.0.0/16"],
        lambda b: [str(network) for network in part(b.edges.transports["crm"], EgressPolicy)._proxies],
    ),
    "egress.ports": ("the port 22 of 10.9", read_port_refusal),
    "egress.unresolved": ("proxy", lambda b: part(b.edges.transports["crm"], EgressPolicy)._unresolved),
    "admin.host": ("127.0.0.9", lambda b: b.heard["admin"]["host"]),
    "admin.port": (8099, lambda b: b.heard["admin"]["port"]),
    "admin.hosts": (("admin.test",), lambda b: b.heard["admin"]["hosts"]),
    "admin.tls.cert_file": (Path("admin.pem"), lambda b: b.heard["admin"]["tls"].cert_file),
    "admin.tls.key_file": (Path("admin.key"), lambda b: b.heard["admin"]["tls"].key_file),
    "admin.tls.key_password": (
        "admin-password",
        lambda b: b.heard["admin"]["tls"].key_password.get_secret_value(),
    ),
}
