"""The settings of ``hookferry console``. Pure models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from bridge.settings.models.base import HostName, Name, Seconds, Section, Text, Whole, mistake

Role = Literal["read", "operate"]
_POSTGRESQL = ("postgresql://", "postgres://")
_SHORTEST_TOKEN = 16


def _store(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(_POSTGRESQL):
        raise mistake(
            "is no address of a PostgreSQL database",
            "write postgresql://user:password@host/database, or leave it out for SQLite in console.folder",
        )
    return value


def _token(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().strip()) < _SHORTEST_TOKEN:
        raise mistake(
            f"has fewer than {_SHORTEST_TOKEN} characters, so it can be guessed",
            "create one with: openssl rand -hex 32",
        )
    return SecretStr(value.get_secret_value().strip())


def _issuer(value: str) -> str:
    if not value.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise mistake("is no https URL", "write it with https, exactly as the provider has it")
    return value


Token = Annotated[SecretStr, AfterValidator(_token)]
Issuer = Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(_issuer)]


class ConsoleTokenSettings(Section):
    """One token with which a person or a program logs in to the console."""

    token: Token = Field(
        description="The token: at least 16 characters, best ${file:…}. It is sent as Authorization: Bearer."
    )
    role: Role = Field(
        default="read", description="read: see everything. operate: also change, re-send and replay."
    )


class ConsoleOidcSettings(Section):
    """An OpenID provider whose tokens the console accepts, and where people log in to its pages."""

    issuer: Issuer = Field(
        description="The issuer, exactly as its tokens name it (claim iss). Its keys are found at"
        " <issuer>/.well-known/openid-configuration."
    )
    audience: Text = Field(description="The audience that a token must have (claim aud).")
    role_claim: Text = Field(
        default="roles",
        description="The claim with the roles of a person: a list or words with spaces between them. A dot"
        " leads into an object, such as realm_access.roles.",
    )
    operate: tuple[Text, ...] = Field(
        default=("hookferry-operate",),
        max_length=50,
        description="Values of the role claim that allow changes.",
    )
    read: tuple[Text, ...] = Field(
        default=("hookferry-read",),
        max_length=50,
        description="Values of the role claim that allow to see everything.",
    )
    client_id: Text | None = Field(
        default=None, description="The client with which people log in to the pages; without it, by token."
    )
    client_secret: SecretStr | None = Field(
        default=None, description="The secret of client_id; a public client has none."
    )
    redirect_uri: Issuer | None = Field(
        default=None,
        description="Where the provider sends a browser back, such as"
        " https://console.bank/login/callback. Required if a proxy in front of the console ends TLS; else it"
        " is built from the request.",
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file with the CA of the provider, if it is not a public one."
    )


class ConsoleSettings(Section):
    """The console: API and pages over what the topics contain (`hookferry console`)."""

    host: Text = Field(
        default="127.0.0.1",
        description="Address to listen on. 127.0.0.1 accepts only this machine; any other address requires"
        " tokens or oidc.",
    )
    port: Whole = Field(
        default=8090, ge=0, le=65_535, description="Port to listen on; 0 selects any free port."
    )
    hosts: tuple[HostName, ...] = Field(
        default=(),
        max_length=100,
        description="Names by which people reach the console, as in admin.hosts. IP addresses, localhost and"
        " the host name of the machine are always accepted.",
    )
    folder: Path = Field(
        default=Path("console"),
        description="Folder for the SQLite store. It is rebuilt from the topics when it is lost. A relative"
        " path begins at the working directory.",
    )
    store: Annotated[SecretStr, AfterValidator(_store)] | None = Field(
        default=None,
        description="A PostgreSQL database, postgresql://user:password@host/database, instead of the SQLite"
        " store; for those who keep years. Install hookferry[postgresql].",
    )
    keep_s: Seconds = Field(
        default=2_592_000.0,
        ge=60,
        le=3_153_600_000,
        description="Seconds that the store keeps attempts; the default is 30 days. It keeps them longer than"
        " the topic does (history.retention_s), unless the store is lost.",
    )
    max_size_mb: Whole = Field(
        default=20_000,
        ge=10,
        le=100_000_000,
        description="Size of the SQLite store, in megabytes, above which the oldest attempts are deleted. A"
        " PostgreSQL store is limited by keep_s only.",
    )
    tokens: dict[Name, ConsoleTokenSettings] = Field(
        default_factory=dict,
        description="The tokens, by the name of the person or program that has it. The name appears in the"
        " audit. Without tokens and oidc, everyone on this machine may change everything.",
    )
    feeds: dict[Name, Token] = Field(
        default_factory=dict,
        description="A token per endpoint, with which its receiver reads /feed/<endpoint>. Without one, the"
        " endpoint has no feed.",
    )
    oidc: ConsoleOidcSettings | None = Field(
        default=None, description="An OpenID provider whose tokens are accepted."
    )
