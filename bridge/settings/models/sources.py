"""Settings of the topics that are read: one model for each record format. Pure models.

``SourceSettings`` is told apart by ``format``, so that a key of another format is a mistake and
not silently unused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bridge.settings.models.base import FieldPlace, Section, Topic, Whole
from bridge.settings.models.registry import RegistrySettings


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


_OFFSET = (
    " record:offset makes one of topic, partition and offset: then a producer's repetitions are not told."
)


class PlacedSource(SourceCommon):
    """What the formats share whose value is only a payload: where the parts of the event stand.

    A place is a dotted path into the value, ``header:NAME``, ``record:key`` or ``record:topic``.
    """

    id: FieldPlace = Field(
        description="Place of the producer's idempotency key; its repetitions are dropped: a path into the"
        " value, or header:NAME." + _OFFSET
    )
    entity: FieldPlace | None = Field(
        default=None,
        description="Place of the id of the thing the event is about, as shown to receivers and operators;"
        " record:key is the record's key as text.",
    )
    time: FieldPlace | None = Field(
        default=None,
        description="Place of the instant of the event; without it the record's own timestamp is used.",
    )
    data: FieldPlace | None = Field(
        default=None, description="Path of the part that is sent as data; without it the whole value is."
    )
    tenant: FieldPlace | None = Field(
        default=None,
        description="Place of the tenant's id; events of two tenants never share an ordering key.",
    )


class JsonSource(PlacedSource):
    """JSON records; places say where to find what an event needs."""

    format: Literal["json"] = Field(description="One JSON object per record.")
    type: FieldPlace = Field(
        description="Place of the event type, which endpoints select by; record:topic is the topic's name."
    )


class CloudEventsSource(SourceCommon):
    """CloudEvents, in binary or structured mode."""

    format: Literal["cloudevents"] = Field(description="CloudEvents in binary or structured mode.")


class DebeziumSource(SourceCommon):
    """Debezium's outbox event router."""

    format: Literal["debezium"] = Field(description="Events of Debezium's outbox event router.")
    envelope: bool = Field(
        default=False,
        description="Whether the value is an envelope: additional fields beside a field payload.",
    )
    id: FieldPlace = Field(default="header:id", description="Place of the event's id.")
    type: FieldPlace | None = Field(
        default=None,
        description="Place of the event type. Without it header:eventType, and in an envelope eventType.",
    )
    entity: FieldPlace | None = Field(
        default="record:key", description="Place of the aggregate's id, which the router makes the key."
    )
    time: FieldPlace | None = Field(
        default=None,
        description="Place of the instant of the event; without it the record's own timestamp is used.",
    )
    tenant: FieldPlace | None = Field(default=None, description="Place of the tenant's id.")
    registry: RegistrySettings | None = Field(
        default=None,
        description="Only where the value converter is Confluent's (Avro, Protobuf): its registry.",
    )


class ConfluentSource(PlacedSource):
    """Values in the wire format of Confluent's serialisers: Avro, JSON Schema or Protobuf."""

    format: Literal["confluent"] = Field(description="Confluent's wire format, with a schema registry.")
    type: FieldPlace | None = Field(
        default=None,
        description="Place of the event type; without it the schema's full name (a JSON Schema's title).",
    )
    registry: RegistrySettings = Field(description="The registry that knows the schemas.")


class ApicurioSource(PlacedSource):
    """Values as Apicurio's serialisers write them: Avro, JSON Schema or Protobuf."""

    format: Literal["apicurio"] = Field(description="Apicurio's wire format, with a schema registry.")
    type: FieldPlace | None = Field(
        default=None,
        description="Place of the event type; without it the schema's full name (a JSON Schema's title).",
    )
    registry: RegistrySettings = Field(description="The registry that knows the schemas.")
    prefix_ids: Literal["content", "global"] | None = Field(
        default=None,
        description="What the ids in front of values are. Without it content ids where they have 4 bytes"
        " (Apicurio 3), global ids where they have 8 (Apicurio 2). Ids in headers say it themselves.",
    )


class AvroSource(PlacedSource):
    """Bare Avro: every value is one record of one schema, and nothing in it says which."""

    format: Literal["avro"] = Field(description="Bare Avro binary, one schema for all.")
    schema_file: Path = Field(
        description="The .avsc file of the schema that values are written with, complete in itself;"
        " relative to the folder of this file."
    )
    type: FieldPlace | None = Field(
        default=None, description="Place of the event type; without it the full name of the schema."
    )


class EventuateSource(SourceCommon):
    """Domain events of Eventuate Tram."""

    format: Literal["eventuate"] = Field(description="Domain events of Eventuate Tram.")
    tenant: FieldPlace | None = Field(
        default=None, description="Place of the tenant's id, such as headers.tenant."
    )


class ModulithSource(PlacedSource):
    """Events that Spring Modulith externalises to Kafka."""

    format: Literal["modulith"] = Field(description="Externalised events of Spring Modulith, as JSON.")
    type: FieldPlace = Field(
        default="header:__TypeId__",
        description="Place of the event type. The header has the event's full class name; without it on the"
        " records, record:topic may do.",
    )
    entity: FieldPlace | None = Field(
        default="record:key", description="Place of the id of the thing the event is about; the routing key."
    )


SourceSettings = Annotated[
    FineractSource
    | JsonSource
    | CloudEventsSource
    | DebeziumSource
    | ConfluentSource
    | ApicurioSource
    | AvroSource
    | EventuateSource
    | ModulithSource,
    Field(discriminator="format"),
]
SOURCE_MODELS: dict[str, type[SourceCommon]] = {
    "fineract": FineractSource,
    "json": JsonSource,
    "cloudevents": CloudEventsSource,
    "debezium": DebeziumSource,
    "confluent": ConfluentSource,
    "apicurio": ApicurioSource,
    "avro": AvroSource,
    "eventuate": EventuateSource,
    "modulith": ModulithSource,
}
