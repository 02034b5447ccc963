"""Settings of the topics that are read: one model for each record format. Pure models.

``SourceSettings`` is told apart by ``format``, so that a key of another format is a mistake and
not silently unused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bridge.settings.base import FieldPath, Section, Topic, Whole


class SourceCommon(Section):
    """What every source has, whatever its format."""

    topics: tuple[Topic, ...] = Field(
        min_length=1, description="Topics to read. A topic belongs to one source only."
    )
    max_value_bytes: Whole = Field(
        default=1_048_576,
        ge=1024,
        le=104_857_600,
        description="A record with a larger value is parked without being decoded.",
    )


class FineractSource(SourceCommon):
    """Apache Fineract's external events: Avro, nested single-object encoding."""

    format: Literal["fineract"] = Field(description="Apache Fineract's external events.")
    schemas: Path = Field(
        description="Folder with the .avsc files of your Fineract; relative to the folder of this file."
    )
    bulk: Literal["split", "whole"] = Field(
        default="split",
        description="What becomes of Fineract's bulk events, which hold several of one account: 'split' sends"
        " each as an event of its own type, in order; 'whole' sends one BulkBusinessEvent with all of them.",
    )
    custom_types: bool = Field(
        default=False,
        description="Whether this Fineract publishes event types of its own. If true, endpoint event patterns"
        " that match no type of Fineract's are accepted.",
    )


class JsonSource(SourceCommon):
    """JSON records; dotted paths say where to find what an event needs."""

    format: Literal["json"] = Field(description="One JSON object per record.")
    id: FieldPath = Field(description="Path of the producer's idempotency key; its repetitions are dropped.")
    type: FieldPath = Field(description="Path of the event type, which endpoints select by.")
    entity: FieldPath | None = Field(
        default=None,
        description="Path of the id of the thing the event is about, as shown to receivers and operators.",
    )
    time: FieldPath | None = Field(
        default=None,
        description="Path of the instant of the event; without it the record's own timestamp is used.",
    )
    data: FieldPath | None = Field(
        default=None, description="Path of the part that is sent as data; without it the whole value is."
    )
    tenant: FieldPath | None = Field(
        default=None,
        description="Path of the tenant's id; events of two tenants never share an ordering key.",
    )


class CloudEventsSource(SourceCommon):
    """CloudEvents, in binary or structured mode."""

    format: Literal["cloudevents"] = Field(description="CloudEvents in binary or structured mode.")


SourceSettings = Annotated[FineractSource | JsonSource | CloudEventsSource, Field(discriminator="format")]
SOURCE_MODELS: dict[str, type[SourceCommon]] = {
    "fineract": FineractSource,
    "json": JsonSource,
    "cloudevents": CloudEventsSource,
}
