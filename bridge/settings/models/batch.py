"""Settings of several events in one request, and of compressed requests. Pure models.

Base of ``EndpointSettings``. Invariant: without ``batch``, a request has exactly one event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, create_model

from bridge.rendering.batch import BatchKind
from bridge.settings.models.base import Seconds, Section, Whole
from bridge.settings.models.endpoint_login import LoginSettings

MOST_EVENTS = 10_000


class _BatchSettings(Section):
    """How many events one request may contain, and in which form."""

    max_events: Whole = Field(
        default=100,
        ge=1,
        le=MOST_EVENTS,
        description="The most events in one request. A request with more waiting events is sent at once.",
    )
    max_bytes: Whole = Field(
        default=1_048_576,
        ge=1024,
        le=67_108_864,
        description="The most bytes of a request's body, before it is compressed. An event that is larger is"
        " sent alone.",
    )
    max_wait_s: Seconds = Field(
        default=0.1,
        ge=0,
        le=60,
        description="Seconds that the first event waits for more, if fewer than max_events are waiting. 0"
        " sends what there is.",
    )

    @property
    def form(self) -> BatchKind:
        """The setting ``as``, which is a keyword of Python."""
        form: BatchKind = getattr(self, "as")
        return form


if TYPE_CHECKING:
    BatchSettings = _BatchSettings
else:
    BatchSettings = create_model(
        "BatchSettings",
        __base__=_BatchSettings,
        __doc__=_BatchSettings.__doc__,
        **{
            "as": (
                BatchKind,
                Field(
                    default="array",
                    description="The form of the body: array ([…, …]), object ({events: [… , …]}), or ndjson"
                    " (one event per line). Each event is its own body with the member webhook_id in front.",
                ),
            )
        },
    )


class SendingSettings(LoginSettings):
    """How events are put into requests."""

    batch: BatchSettings | None = Field(
        default=None,
        description="Send several events in one request. Default: one event per request. See"
        " docs/how-to/batches.md. Turning it on or off needs a restart.",
    )
    compress: Literal["gzip", "zstd"] | None = Field(
        default=None,
        description="Compress the bodies of requests, which then have the header content-encoding. The"
        " signature covers the compressed bytes. Default: not compressed.",
    )
    compress_above_bytes: Whole = Field(
        default=1024,
        ge=0,
        le=67_108_864,
        description="Bodies of at most so many bytes are not compressed.",
    )
