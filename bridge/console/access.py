"""Who may use the console: tokens of the settings, tokens of an OpenID provider, or everyone on this machine.

Invariant: comparing a token takes the same time whichever token of the settings it is most like.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from pydantic import SecretStr

from bridge.console.actor import EVERYONE, Actor
from bridge.core.addresses import is_this_machine
from bridge.errors import ConfigError
from bridge.settings.models.console import ConsoleSettings

if TYPE_CHECKING:
    from bridge.console.oidc_login import OidcLogin

VerifyBearer = Callable[[str], Awaitable[Actor | None]]
"""Returns whose token of the OpenID provider this is; None if it is none, or not valid."""


class Logins:
    """The tokens of the settings, and who everybody is where no login is configured."""

    def __init__(
        self,
        settings: ConsoleSettings,
        verify: VerifyBearer | None = None,
        browser: OidcLogin | None = None,
    ) -> None:
        """``verify`` checks tokens of an OpenID provider, and ``browser`` logs people in there.

        Raises ``ConfigError``.
        """
        self._verify = verify
        self.browser = browser
        self._actors = [
            (_digest(token.token.get_secret_value()), Actor(name, token.role))
            for name, token in settings.tokens.items()
        ]
        self._feeds = _digests(settings.feeds)
        has_login = bool(self._actors) or settings.oidc is not None
        self.anonymous: Actor | None = None if has_login else EVERYONE
        if not has_login and not is_this_machine(settings.host.strip("[]")):
            raise ConfigError(
                [
                    f"console.host {settings.host}: everyone who reaches it could change everything, because"
                    " no login is configured; set console.tokens or console.oidc, or listen on 127.0.0.1"
                ]
            )

    def by_token(self, token: str) -> Actor | None:
        """Return whose token of the settings this is, else None."""
        given, found = _digest(token), None
        for digest, actor in self._actors:
            if hmac.compare_digest(digest, given):
                found = actor
        return found

    async def by_bearer(self, token: str) -> Actor | None:
        """Return whose token this is, of the settings or of the OpenID provider, else None."""
        actor = self.by_token(token)
        if actor is None and self._verify is not None:
            return await self._verify(token)
        return actor

    def may_read_feed(self, endpoint: str, token: str) -> bool:
        """Return True if this is the token of the endpoint's receiver."""
        digest = self._feeds.get(endpoint)
        return digest is not None and hmac.compare_digest(digest, _digest(token))


def _digests(tokens: Mapping[str, SecretStr]) -> dict[str, bytes]:
    return {name: _digest(token.get_secret_value()) for name, token in tokens.items()}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
