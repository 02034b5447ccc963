"""Settings for the kind of receiver: the preset and its secret. Pure models.

Base of ``LoginSettings``. Explicit settings take precedence over those of the preset.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, WithJsonSchema

from bridge.model import Url
from bridge.receivers import PRESETS, Preset
from bridge.rendering.body_secret import BodySecret
from bridge.settings.models.base import mistake
from bridge.settings.models.request import RequestSettings
from bridge.settings.problem import choice

_ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}")


def _preset(name: str) -> str:
    if name not in PRESETS:
        raise mistake("is not a preset", choice(name, PRESETS, "the presets are"))
    return name


def _routing_key(value: SecretStr) -> SecretStr:
    if not _ROUTING_KEY.fullmatch(value.get_secret_value()):
        raise mistake(
            "is not a routing key, which has 32 letters and digits",
            "copy the integration key of an Events API v2 integration from PagerDuty",
        )
    return value


PresetName = Annotated[str, AfterValidator(_preset), WithJsonSchema({"type": "string", "enum": [*PRESETS]})]
RoutingKey = Annotated[SecretStr, AfterValidator(_routing_key)]


class PresetSettings(RequestSettings):
    """The kind of receiver."""

    preset: PresetName = Field(
        default="standard",
        description="The kind of receiver: slack, teams (a workflow), teams-connector (the older kind),"
        " discord, pagerduty, zapier, fineract-hook (as Fineract's old web hooks), or standard (Standard"
        " Webhooks). A preset sets the body, how answers are read, and a rate; body, rate and events take"
        " precedence where they are set. See docs/reference/gallery.md.",
    )
    routing_key: RoutingKey | None = Field(
        default=None,
        description="With preset pagerduty: the integration key of the service. It is inserted into the"
        " body when a request is sent, and is shown as *** wherever the body is kept.",
    )

    @property
    def chosen(self) -> Preset:
        """The preset: defaults for this kind of receiver."""
        return PRESETS[self.preset]

    @property
    def target(self) -> Url:
        """The URL in parts, adapted to this kind of receiver (see ``RequestSettings.target``)."""
        return self.chosen.target(super().target)

    @property
    def body_secret(self) -> BodySecret | None:
        """The secret that is inserted into the body, None if there is none."""
        name, key = self.chosen.key_field, self.routing_key
        return BodySecret(name, key.get_secret_value()) if name and key is not None else None

    @property
    def has_own_body(self) -> bool:
        """True if the operator set a body, which then replaces the preset's."""
        return "body" in self.model_fields_set
