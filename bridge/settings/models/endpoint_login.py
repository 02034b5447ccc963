"""Settings of the login to an endpoint and of its TLS. Pure models.

Base of ``SendingSettings``.
"""

from __future__ import annotations

from pydantic import Field

from bridge.core.url import with_parameter
from bridge.model import Url
from bridge.settings.models.auth import AUTHORIZATION, AuthSettings, OAuth2Settings
from bridge.settings.models.receiver import PresetSettings
from bridge.settings.models.tls import EndpointTlsSettings


class LoginSettings(PresetSettings):
    """The login to a receiver, and how its connections are secured."""

    auth: AuthSettings | None = Field(
        default=None,
        description="Login to the receiver: one of basic, bearer, api_key and oauth2. See"
        " docs/how-to/authentication.md.",
    )
    tls: EndpointTlsSettings | None = Field(
        default=None,
        description="Certificates, version and name for TLS to the receiver. Default: the authorities of the"
        " system, TLS 1.2 or newer, and the host of the url.",
    )

    @property
    def target(self) -> Url:
        """The URL in parts, with an API key that belongs into its query (see ``RequestSettings.target``)."""
        url, parameter = super().target, self.auth.parameter if self.auth else None
        return url if parameter is None else url._replace(target=with_parameter(url.target, *parameter))

    @property
    def header_pairs(self) -> tuple[tuple[str, str], ...]:
        """The additional headers that do not change with the event, unmasked: for the request only."""
        return (*(self.auth.headers if self.auth else ()), *super().header_pairs)

    @property
    def secret_header_names(self) -> frozenset[str]:
        """The names of the headers whose values are never shown, in lower case."""
        login = (AUTHORIZATION,) if self.oauth2 else ()
        constant = (name for name, _ in self.auth.headers) if self.auth else ()
        return frozenset(name.lower() for name in (*self.headers, *login, *constant))

    @property
    def oauth2(self) -> OAuth2Settings | None:
        """The settings of its access tokens, None without OAuth 2."""
        return self.auth.oauth2 if self.auth else None
