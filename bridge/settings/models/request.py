"""Settings of the request for an event: URL, method, headers and body. Pure models.

Base of ``PresetSettings``. URL and header values may contain ``{{ … }}``; both are secret as a whole.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, SecretStr, Tag, WithJsonSchema

from bridge.core.url import parse_url
from bridge.errors import ConfigError
from bridge.model import Url
from bridge.rendering.named import NAMED
from bridge.rendering.request import is_template, split_expressions
from bridge.settings.models.base import Section, mistake
from bridge.settings.models.values import endpoint_url, header_name, header_value
from bridge.settings.problem import choice

MAX_TEMPLATE_BYTES = 65_536
BODY_TAGS = ("named", "template")
JSON = "application/json"

_MEDIA_TYPE = re.compile(
    r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+(; ?[a-z0-9_.-]+=[\x21\x23-\x7e]+)*", re.IGNORECASE
)


def plain_url(text: str) -> str:
    """Return the URL with a word in place of each ``{{ … }}``. Raises a ``mistake``."""
    try:
        return split_expressions(text)[0]
    except ValueError as exc:
        cause, _, remedy = str(exc).partition("; ")
        raise mistake(cause, remedy) from None


def _url(value: SecretStr) -> SecretStr:
    endpoint_url(plain_url(value.get_secret_value()))
    return value


def _header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not is_template(text):
        header_value(text)
    return value


def _header_name(name: str) -> str:
    if name.lower() == "content-type":
        raise mistake("is set by body", "remove it, or set body.content_type for a template")
    return header_name(name)


def _body_name(name: str) -> str:
    if name not in NAMED:
        remedy = choice(name, NAMED, "the bodies are")
        raise mistake("is not a body", f"{remedy} A template is written as body: {{template: …}}")
    return name


def _content_type(text: str) -> str:
    if not _MEDIA_TYPE.fullmatch(text) or len(text) > 200:
        raise mistake("is not a content type", "write type/subtype, such as application/json")
    if text.lower().startswith("multipart/"):
        raise mistake("needs a boundary, which templates cannot create", f"use {JSON} or a form")
    return text


class TemplateSettings(Section):
    """A body from a template: set template or template_file."""

    template: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_TEMPLATE_BYTES,
        description="The template, best written as a block (template: |). At most 64 KiB. See"
        " docs/how-to/templates.md.",
    )
    template_file: Path | None = Field(
        default=None,
        description="The file with the template; relative to the folder of the settings file. At most 64"
        " KiB.",
    )
    content_type: Annotated[str, AfterValidator(_content_type)] = Field(
        default=JSON,
        description="The content type that the template produces. It also decides how values are escaped:"
        " for JSON, for XML, for a form (application/x-www-form-urlencoded), or not at all in other text.",
    )

    def source(self) -> str:
        """Return the text of the template. Raises ``ConfigError`` for a file that cannot be read."""
        if self.template is not None:
            return self.template
        assert self.template_file is not None, "checked by rules/rendering.py"
        return read_template(self.template_file)


def read_template(path: Path) -> str:
    """Return the text of a template file. Raises ``ConfigError``."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_TEMPLATE_BYTES + 1)
        if len(content) > MAX_TEMPLATE_BYTES:
            raise ConfigError([f"{path}: is larger than {MAX_TEMPLATE_BYTES} bytes; make it shorter"])
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError([f"{path}: is not UTF-8 text; save it as UTF-8"]) from exc
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not a path"
        raise ConfigError([f"{path}: cannot be read ({reason}); correct template_file"]) from exc


def _body_tag(value: Any) -> str:
    return "template" if isinstance(value, dict | TemplateSettings) else "named"


EndpointUrl = Annotated[SecretStr, AfterValidator(_url)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]
BodyName = Annotated[str, AfterValidator(_body_name), WithJsonSchema({"type": "string", "enum": [*NAMED]})]
Body = Annotated[
    Annotated[BodyName, Tag("named")] | Annotated[TemplateSettings, Tag("template")], Discriminator(_body_tag)
]


class RequestSettings(Section):
    """The request for an event."""

    url: EndpointUrl = Field(
        description="Where requests are sent: an https URL without user name and password (use headers"
        " for those). Path and query may contain {{ … }}: https://crm.example.com/loans/{{ entity }}."
    )
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = Field(
        default="POST", description="The HTTP method of the requests."
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default={},
        max_length=64,
        description="Additional request headers, such as Authorization. Values may contain {{ … }}.",
    )
    body: Body = Field(
        default="standard",
        description="What is sent: standard ({type, timestamp, data}), thin (standard without the data),"
        " raw (only the data), cloudevents, cloudevents-binary, fineract-hook (as Fineract's old web"
        " hooks), none; or a mapping with a template of your own.",
    )

    @property
    def target(self) -> Url:
        """The URL in parts; only its ``origin`` may be shown: ``target`` may contain secrets."""
        return parse_url(split_expressions(self.url.get_secret_value())[0])

    @property
    def url_expressions(self) -> tuple[str, ...]:
        """The expressions in the URL, in order."""
        return split_expressions(self.url.get_secret_value())[1]

    @property
    def header_pairs(self) -> tuple[tuple[str, str], ...]:
        """The additional headers that do not change with the event, unmasked: for the request only."""
        return tuple(pair for pair in self._all_headers() if not is_template(pair[1]))

    @property
    def header_templates(self) -> dict[str, str]:
        """The additional headers that change with the event."""
        return {name: text for name, text in self._all_headers() if is_template(text)}

    @property
    def has_templates(self) -> bool:
        """True if a template produces any part of the request."""
        return bool(isinstance(self.body, TemplateSettings) or self.url_expressions or self.header_templates)

    def _all_headers(self) -> list[tuple[str, str]]:
        return [(name, value.get_secret_value()) for name, value in self.headers.items()]
