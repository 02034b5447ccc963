"""Settings of the signatures of an endpoint: the form, and the keys with their times. Pure models.

``rules/signing.py`` checks what depends on several keys: the texts of the keys, their times, and the headers.
"""

from __future__ import annotations

from math import inf
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, SecretStr, Tag, WithJsonSchema

from bridge.core.instant import instant_ms
from bridge.core.signing import FORMS, HmacForm, SigningKey
from bridge.core.signing.forms import MESSAGE_SIGNATURES, STANDARD, Form, KeyEncoding, placeholders
from bridge.core.signing.key_text import ReadKey, key_texts, read_keys, standard_key, text_key
from bridge.settings.models.base import Section, mistake
from bridge.settings.models.values import header_name, header_value, instant
from bridge.settings.problem import choice

FORM_NAMES = (STANDARD, MESSAGE_SIGNATURES, *FORMS)
FORM_TAGS = ("named", "own")
KEY_TAGS = ("secret", "times")


def _form_name(name: str) -> str:
    if name not in FORM_NAMES:
        remedy = choice(name, FORM_NAMES, "the forms are")
        raise mistake(
            "is not a form of signatures", f"{remedy} A form of your own is a mapping: {{header: …}}"
        )
    return name


def _signature_header(name: str) -> str:
    header_name(name)
    if name.lower() in {"content-type", "content-encoding", "user-agent"}:
        raise mistake("is a header with another meaning", "use a name such as X-Signature")
    return name


def _placeholders(text: str) -> list[str]:
    try:
        return placeholders(text)
    except ValueError as exc:
        remedy = "write {id}, {timestamp} or {body}, in lower case and without spaces"
        raise mistake(str(exc), remedy) from None


def _signed(text: str) -> str:
    if _placeholders(text).count("body") != 1:
        raise mistake(
            "does not contain {body} exactly once",
            "insert it, such as {timestamp}.{body}: the signature must cover the body",
        )
    return text


def _head(text: str) -> str:
    header_value(text.strip())
    if "body" in _placeholders(text):
        raise mistake("contains {body}", "remove it: a header cannot contain the body")
    return text


def _plain(text: str) -> str:
    header_value(text.strip())
    if _placeholders(text):
        raise mistake("contains a placeholder", "write it in head")
    return text


SignatureHeader = Annotated[str, AfterValidator(_signature_header)]
Affix = Annotated[str, Field(max_length=64), AfterValidator(_plain)]
Instant = Annotated[str, AfterValidator(instant), WithJsonSchema({"type": "string", "format": "date-time"})]


class KeySettings(Section):
    """A signing key and the time in which it signs."""

    secret: SecretStr = Field(
        description="The key, as in secrets. The text may have several keys, one per line, each with its own"
        " times: whsec_… until=2026-06-29T08:15:30Z."
    )
    since: Instant | None = Field(
        default=None,
        description="The instant from which the key signs (RFC 3339, such as 2026-06-29T08:15:30Z). Default:"
        " at once. The key with the latest since that has begun is the newest; of several, the first one.",
    )
    until: Instant | None = Field(
        default=None,
        description="The instant from which the key no longer signs. It takes effect without a restart."
        " Default: never. From now on, some key must sign at any time.",
    )


class HmacFormSettings(Section):
    """A form of signatures of your own: an HMAC in a header."""

    header: SignatureHeader = Field(description="The header of the signature, such as X-Signature.")
    algorithm: Literal["sha256", "sha384", "sha512", "sha1"] = Field(
        default="sha256", description="The hash of the HMAC. sha1 only for receivers that accept no other."
    )
    encoding: Literal["hex", "base64"] = Field(
        default="hex", description="How the signature is written: lower-case hexadecimal, or base64."
    )
    key_encoding: KeyEncoding = Field(
        default="text",
        description="How the keys are written: text (its UTF-8 bytes are the key), base64 or hex.",
    )
    signs: Annotated[str, Field(max_length=256), AfterValidator(_signed)] = Field(
        default="{body}",
        description="What is signed: {body}, and as needed {id} (the webhook-id) and {timestamp} (Unix"
        " seconds of the attempt), such as {timestamp}.{body}.",
    )
    head: Annotated[str, Field(max_length=256), AfterValidator(_head)] = Field(
        default="",
        description="Text at the beginning of the header; may contain {id} and {timestamp}.",
    )
    prefix: Affix = Field(default="", description="Text before each signature, such as sha256=.")
    separator: Affix | None = Field(
        default=None,
        description="Text between the signatures of several keys. Default: the header has one signature, that"
        " of the newest key.",
    )
    timestamp_header: SignatureHeader | None = Field(
        default=None,
        description="A header for the timestamp. webhook-timestamp and webhook-id are always sent.",
    )

    @property
    def form(self) -> HmacForm:
        """The form as a value."""
        return HmacForm(**self.model_dump())


def _form_tag(value: Any) -> str:
    return "own" if isinstance(value, dict | HmacFormSettings) else "named"


def _key_tag(value: Any) -> str:
    return "times" if isinstance(value, dict | KeySettings) else "secret"


FormName = Annotated[
    str, AfterValidator(_form_name), WithJsonSchema({"type": "string", "enum": [*FORM_NAMES]})
]
ChosenForm = Annotated[
    Annotated[FormName, Tag("named")] | Annotated[HmacFormSettings, Tag("own")], Discriminator(_form_tag)
]
Key = Annotated[
    Annotated[SecretStr, Tag("secret")] | Annotated[KeySettings, Tag("times")], Discriminator(_key_tag)
]


class SigningSettings(Section):
    """How the requests of an endpoint are signed."""

    form: ChosenForm = Field(
        default=STANDARD,
        description="What the receiver checks: standard (Standard Webhooks: v1, and v1a for keys with whsk_),"
        " rfc9421 (HTTP Message Signatures), github, stripe, shopify, slack (as Slack signs requests to"
        " apps); or a mapping with a form of your own.",
    )
    keys: tuple[Key, ...] = Field(
        max_length=10,
        description="The keys, the newest first: texts, or mappings with secret, since and until.",
    )

    @property
    def chosen_form(self) -> Form:
        """The form of the signatures."""
        if isinstance(self.form, HmacFormSettings):
            return self.form.form
        return form_named(self.form)

    def read_keys(self) -> tuple[SigningKey, ...]:
        """Return the keys in their order. Raises ``BadKey`` for texts that the rules refuse."""
        read = key_reader(self.chosen_form)
        return tuple(key for entry in self.keys for key in _keys_of(entry, read))

    def key_texts(self) -> tuple[str, ...]:
        """Return the text of each key, without its times."""
        return tuple(text for entry in self.keys for text in key_texts(_secret_of(entry).get_secret_value()))


def form_named(name: str) -> Form:
    """Return the ready form of this name; Standard Webhooks for any other name."""
    if name in FORMS:
        return FORMS[name]
    return "rfc9421" if name == MESSAGE_SIGNATURES else "standard"


def key_reader(form: Form) -> ReadKey:
    """Return the function that reads the keys of a form."""
    return text_key(form.key_encoding) if isinstance(form, HmacForm) else standard_key


def _secret_of(entry: SecretStr | KeySettings) -> SecretStr:
    return entry.secret if isinstance(entry, KeySettings) else entry


def _keys_of(entry: SecretStr | KeySettings, read: ReadKey) -> list[SigningKey]:
    text = _secret_of(entry).get_secret_value()
    if not isinstance(entry, KeySettings):
        return read_keys(text, read)
    return read_keys(text, read, _seconds(entry.since, -inf), _seconds(entry.until, inf))


def _seconds(text: str | None, otherwise: float) -> float:
    at_ms = None if text is None else instant_ms(text)
    return otherwise if at_ms is None else at_ms / 1000
