"""The forms of HMAC signatures that receivers check, other than Standard Webhooks. Pure.

A form is data: header, algorithm, encoding, and what is signed. Sources of the ready ones: GitHub "Validating
webhook deliveries", Stripe "Verify webhook signatures manually", Shopify "Validate webhooks", and Slack
"Verifying requests from Slack".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

_PLACEHOLDER = re.compile(r"\{(id|timestamp|body)\}")

KeyEncoding = Literal["text", "base64", "hex"]


@dataclass(frozen=True, slots=True)
class HmacForm:
    """How an HMAC is computed over a request and written into a header.

    The header has ``head``, then ``prefix`` and the signature. With a ``separator``, prefix and signature are
    repeated for every active key; without one, the newest key alone signs. ``signs`` and ``head`` may contain
    ``{id}`` and ``{timestamp}`` (Unix seconds of the attempt), ``signs`` also ``{body}``.
    """

    header: str
    algorithm: str = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    key_encoding: KeyEncoding = "text"
    head: str = ""
    prefix: str = ""
    separator: str | None = None
    signs: str = "{body}"
    timestamp_header: str | None = None

    @property
    def headers(self) -> tuple[str, ...]:
        """The names of the headers that the form sets."""
        return (self.header,) if self.timestamp_header is None else (self.timestamp_header, self.header)


STANDARD: Final = "standard"
MESSAGE_SIGNATURES: Final = "rfc9421"
"""The forms that are signers of their own: Standard Webhooks, and HTTP Message Signatures."""

Form = HmacForm | Literal["standard", "rfc9421"]

FORMS: Mapping[str, HmacForm] = {
    "github": HmacForm("X-Hub-Signature-256", prefix="sha256="),
    "stripe": HmacForm(
        "Stripe-Signature", head="t={timestamp},", prefix="v1=", separator=",", signs="{timestamp}.{body}"
    ),
    "shopify": HmacForm("X-Shopify-Hmac-Sha256", encoding="base64"),
    "slack": HmacForm(
        "X-Slack-Signature",
        prefix="v0=",
        signs="v0:{timestamp}:{body}",
        timestamp_header="X-Slack-Request-Timestamp",
    ),
}
"""The ready HMAC forms by name."""


def placeholders(template: str) -> list[str]:
    """List the placeholders of a template. Raises ``ValueError`` for a brace outside of one."""
    if re.search(r"[{}]", _PLACEHOLDER.sub("", template)):
        raise ValueError("contains a brace outside of {id}, {timestamp} and {body}")
    return _PLACEHOLDER.findall(template)


def bytes_format(template: str) -> bytes:
    """Return a template as a format for ``%`` with a mapping from names to bytes."""
    return _PLACEHOLDER.sub(r"%(\1)b", template.replace("%", "%%")).encode("utf-8")
