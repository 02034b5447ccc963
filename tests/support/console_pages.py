"""The pages of the console over its fake, served on loopback by a thread, as a browser needs it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import uvicorn

from bridge.console.actor import Actor
from bridge.console.oidc_login import OidcLogin
from bridge.console.pages.app import pages
from tests.support.console_fake import NOW_S, FakeConsole
from tests.support.ports import free_port

TOKENS = {"operate-token": Actor("ann", "operate"), "read-token": Actor("rob", "read")}


class FakeLogins(NamedTuple):
    """Logins by the tokens of a mapping; ``anonymous`` where there is no login."""

    anonymous: Actor | None = None
    tokens: Mapping[str, Actor] = TOKENS
    browser: OidcLogin | None = None

    def by_token(self, token: str) -> Actor | None:
        """Return whose token it is."""
        return self.tokens.get(token)


OPEN = FakeLogins(Actor("local", "operate"))


class ServedPages(NamedTuple):
    """The address of the pages, and what is under them."""

    origin: str
    fake: FakeConsole


@contextmanager
def served(logins: FakeLogins = OPEN, fake: FakeConsole | None = None) -> Iterator[ServedPages]:
    """Serve the pages until the block ends."""
    contents = fake or FakeConsole()
    app = pages("hookferry", contents, contents, logins, lambda: NOW_S)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server of the pages did not start")
        threading.Event().wait(0.01)
    try:
        yield ServedPages(f"http://127.0.0.1:{port}", contents)
    finally:
        server.should_exit = True
        thread.join(10)
