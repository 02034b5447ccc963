"""The rows of ``READS`` for the console."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bridge.console.access import Logins
from bridge.console.actor import Actor
from bridge.console.console import Console
from bridge.console.oidc import OidcProvider
from bridge.console.oidc_login import OidcLogin
from bridge.console.retention import Retention
from bridge.console.store import open as opening
from bridge.console.store.postgres import PostgresDatabase
from bridge.core.web_access import WebAccess
from bridge.wiring import oidc as oidc_wiring
from tests.support.parts import part
from tests.unit.wiring.built import Built, Read

_ANYTHING: Any = object()


def _console(b: Built) -> Console:
    with (
        patch("bridge.console.console.build_kafka_options", return_value=b.options),
        patch("bridge.console.console.build_oidc_transport"),
    ):
        return Console(b.settings, Path("bridge.yaml"))


def _provider(b: Built) -> OidcProvider:
    provider = _console(b).provider
    assert provider is not None
    return provider


def _actor(b: Built, **claims: Any) -> Actor | None:
    return _provider(b).actor_of({"sub": "u1", **claims})


def _ca_file(b: Built) -> Any:
    oidc = b.settings.console.oidc
    assert oidc is not None
    with patch.object(oidc_wiring, "load_context") as load:
        oidc_wiring.build_oidc_transport(oidc.ca_file)
    return load.call_args.args[0]


def _retention(b: Built) -> Retention:
    return Retention(_ANYTHING, b.settings.console)


def _opened(b: Built) -> tuple[str, Any]:
    """Return what the store is opened with: the database's address, and the file without one."""
    with patch.object(PostgresDatabase, "open") as address, patch.object(opening, "SqliteDatabase") as file:
        asyncio.run(opening.open_database(b.settings.console))
        asyncio.run(opening.open_database(b.settings.console.model_copy(update={"store": None})))
    return address.call_args.args[0], file.call_args.args[0]


def _listens(b: Built) -> tuple[str, int]:
    with patch("bridge.console.console.listen", side_effect=ZeroDivisionError) as listen:
        try:
            asyncio.run(_console(b).run(asyncio.Event()))
        except ZeroDivisionError:
            host, port = listen.call_args.args
            return host, port
    return "", 0


CONSOLE_READS: dict[str, tuple[Any, Read]] = {
    "console.host": ("127.0.0.8", lambda b: _listens(b)[0]),
    "console.port": (8097, lambda b: _listens(b)[1]),
    "console.hosts": (None, lambda b: part(_web(b), WebAccess).check_host("console.test")),
    "console.folder": ("console/console.sqlite", lambda b: "/".join(_opened(b)[1].parts[-2:])),
    "console.store": ("postgresql://user:word@db.test/console", lambda b: _opened(b)[0]),
    "console.keep_s": (888.0, lambda b: _retention(b)._keep_s),
    "console.max_size_mb": (55_000_000, lambda b: _retention(b)._most_bytes),
    "console.tokens.token": (True, lambda b: _console(b).logins.by_token("a" * 20) is not None),
    "console.tokens.role": (Actor("ann", "operate"), lambda b: _console(b).logins.by_token("a" * 20)),
    "console.feeds": (True, lambda b: part(_console(b), Logins).may_read_feed("crm", "f" * 20)),
    "console.oidc.issuer": ("https://login.test/", lambda b: _provider(b)._settings.issuer),
    "console.oidc.audience": ("us", lambda b: _provider(b)._settings.audience),
    "console.oidc.client_id": ("console-client", lambda b: part(_console(b), OidcLogin)._client_id),
    "console.oidc.client_secret": ("console-client-secret", lambda b: part(_console(b), OidcLogin)._secret),
    "console.oidc.redirect_uri": (
        "https://console.test/login/callback",
        lambda b: part(_console(b), OidcLogin)._redirect_uri,
    ),
    "console.oidc.role_claim": (Actor("u1", "read"), lambda b: _actor(b, groups=["staff"])),
    "console.oidc.operate": (Actor("u1", "operate"), lambda b: _actor(b, groups=["admins"])),
    "console.oidc.read": (Actor("u1", "read"), lambda b: _actor(b, groups="staff")),
    "console.oidc.ca_file": (Path("oidc-ca.pem"), _ca_file),
}


def _web(b: Built) -> Any:
    return _console(b)._build_web(_ANYTHING, _ANYTHING)
