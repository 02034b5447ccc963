"""Build the connections to the OpenID provider of the console."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

from bridge.http import Transport
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from bridge.http.tls import ClientTls, FixedTls, SystemTls, load_context, unloadable

_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""The provider is the operator's own: private addresses are usual."""


def build_oidc_transport(ca_file: Path | None) -> Callable[[], Transport]:
    """Return what opens a transport to the provider. Raises ``ConfigError`` for a file that does not load."""
    tls = _tls(ca_file)
    return lambda: LeanTransport(EgressPolicy(_EVERYWHERE), 1, tls)


def _tls(ca_file: Path | None) -> ClientTls:
    if ca_file is None:
        return SystemTls()
    try:
        return FixedTls(load_context(ca_file, None, None, None))
    except (OSError, ValueError) as exc:
        raise unloadable("console.oidc", exc, "ca_file") from exc
