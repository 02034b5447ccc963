"""Settings of the topics that are read: one model for each record format. Pure models.

``format`` selects the model, so that a key of another format is a mistake instead of being ignored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from bridge.settings.models.base import TOPIC, FieldPlace, Section, Whole
from bridge.settings.models.registry import RegistrySettings
from bridge.settings.models.values import topic_pattern

Topic = Annotated[str, StringConstraints(pattern=TOPIC), AfterValidator(topic_pattern)]


class SourceCommon(Section):
    """Settings that sources of every format have."""

    topics: tuple[Topic, ...] = Field(
        min_length=1,
        description="Topics to read, as names or patterns (* ? [abc]); case-sensitive. A ! in front"
        " excludes, and a list must not only exclude. New topics that a pattern matches are read without a"
        " restart. A topic belongs to one source only: the one that names it, else the first one with a"
        " pattern that matches. Patterns match no topic that begins with __ or ends in .parked, .again,"
        " .control or .attempts; such a topic must be named.",
    )
    max_value_bytes: Whole = Field(
        default=1_048_576,
        ge=1024,
        le=104_857_600,
        description="A record with a value larger than this many bytes is parked without being decoded.",
    )


NonFinite = Annotated[
    Literal["park", "string", "null"],
    BeforeValidator(lambda mode: "null" if mode is None else mode),  # YAML reads a bare null as none
    Field(
        description="What to do with NaN and the infinities in Avro and Protobuf values, which JSON cannot"
        ' hold. park: park the event, with the path of the number. string: send "NaN", "Infinity" or'
        ' "-Infinity" as text. null: send null.'
    ),
]


class FineractSource(SourceCommon):
    """Apache Fineract's external events: Avro, nested single-object encoding."""

    format: Literal["fineract"] = Field(description="Apache Fineract's external events.")
    schemas: Path = Field(
        description="Folder with the .avsc files of your Fineract; relative to the folder of the settings"
        " file."
    )
    bulk: Literal["split", "whole"] = Field(
        default="split",
        description="How Fineract's bulk events, which contain several events of one account, are"
        " delivered. split: each as an event of its own type, in order. whole: one BulkBusinessEvent with"
        " all of them.",
    )
    non_finite: NonFinite = "park"
    custom_types: bool = Field(
        default=False,
        description="Set it to true if your Fineract publishes event types of its own: event patterns"
        " that match none of Fineract's types are then accepted. By default they are reported as mistakes.",
    )


TimeUnit = Annotated[
    Literal["s", "ms", "us", "ns"] | None,
    Field(
        description="Unit of the time if it is a number since 1970: seconds (s), milliseconds (ms),"
        " microseconds (us) or nanoseconds (ns). Default: the unit that gives a time between 2000 and seven"
        " days from now. A time outside of that range is refused: the event gets the timestamp of its record."
    ),
]

_OFFSET = " record:offset builds one from topic, partition and offset, which does not detect repetitions."


class PlacedSource(SourceCommon):
    """Settings shared by the formats whose value is only a payload: the places of the parts of an event.

    A place is a dotted path into the value, ``header:NAME``, ``record:key`` or ``record:topic``.
    """

    id: FieldPlace = Field(
        description="Place of the idempotency key that the producer sets: a path into the value, or"
        " header:NAME. An event with the same key is dropped as a repetition." + _OFFSET
    )
    entity: FieldPlace | None = Field(
        default=None,
        description="Place of the id of the object that the event is about, as shown to receivers and"
        " operators; record:key is the key of the record as text.",
    )
    time: FieldPlace | None = Field(
        default=None,
        description="Place of the time of the event. Default: the timestamp of the record.",
    )
    time_unit: TimeUnit = None
    data: FieldPlace | None = Field(
        default=None,
        description="Path of the part of the value that is sent as data. Default: the whole value.",
    )
    tenant: FieldPlace | None = Field(
        default=None,
        description="Place of the tenant's id. Events of two tenants never share an ordering key.",
    )


class JsonSource(PlacedSource):
    """JSON records; places name where the parts of an event are."""

    format: Literal["json"] = Field(description="One JSON object per record.")
    type: FieldPlace = Field(
        description="Place of the event type, which endpoints select by; record:topic is the name of the"
        " topic."
    )


class CloudEventsSource(SourceCommon):
    """CloudEvents, in binary or structured mode."""

    format: Literal["cloudevents"] = Field(description="CloudEvents in binary or structured mode.")


class DebeziumSource(SourceCommon):
    """Debezium's outbox event router."""

    format: Literal["debezium"] = Field(description="Events of Debezium's outbox event router.")
    envelope: bool = Field(
        default=False,
        description="Set it to true if the value is an envelope: a field payload and additional fields.",
    )
    id: FieldPlace = Field(default="header:id", description="Place of the event's id.")
    type: FieldPlace | None = Field(
        default=None,
        description="Place of the event type. Default: header:eventType, and in an envelope the field"
        " eventType.",
    )
    entity: FieldPlace | None = Field(
        default="record:key", description="Place of the aggregate's id, which the router uses as the key."
    )
    time: FieldPlace | None = Field(
        default=None,
        description="Place of the time of the event. Default: the timestamp of the record.",
    )
    time_unit: TimeUnit = None
    tenant: FieldPlace | None = Field(default=None, description="Place of the tenant's id.")
    registry: RegistrySettings | None = Field(
        default=None,
        description="The schema registry; only if the value converter is Confluent's (Avro, Protobuf).",
    )
    non_finite: NonFinite = "park"


class ConfluentSource(PlacedSource):
    """Values in the wire format of Confluent's serializers: Avro, JSON Schema or Protobuf."""

    format: Literal["confluent"] = Field(description="Confluent's wire format, with a schema registry.")
    type: FieldPlace | None = Field(
        default=None,
        description="Place of the event type. Default: the full name of the schema (the title of a JSON"
        " Schema).",
    )
    registry: RegistrySettings = Field(description="The registry that has the schemas.")
    non_finite: NonFinite = "park"


class ApicurioSource(PlacedSource):
    """Values in the wire format of Apicurio's serializers: Avro, JSON Schema or Protobuf."""

    format: Literal["apicurio"] = Field(description="Apicurio's wire format, with a schema registry.")
    type: FieldPlace | None = Field(
        default=None,
        description="Place of the event type. Default: the full name of the schema (the title of a JSON"
        " Schema).",
    )
    registry: RegistrySettings = Field(description="The registry that has the schemas.")
    prefix_ids: Literal["content", "global"] | None = Field(
        default=None,
        description="What the ids in front of values are. Default: content ids if they have 4 bytes"
        " (Apicurio 3), global ids if they have 8 bytes (Apicurio 2). Ids in headers need no setting.",
    )
    non_finite: NonFinite = "park"


class AvroSource(PlacedSource):
    """Avro without a header: every value is one record of one schema, which the value does not name."""

    format: Literal["avro"] = Field(description="Avro binary without a header, one schema for all records.")
    schema_file: Path = Field(
        description="The .avsc file of the schema that the values are written with, complete in one file;"
        " relative to the folder of the settings file."
    )
    type: FieldPlace | None = Field(
        default=None, description="Place of the event type. Default: the full name of the schema."
    )
    non_finite: NonFinite = "park"


class EventuateSource(SourceCommon):
    """Domain events of Eventuate Tram."""

    format: Literal["eventuate"] = Field(description="Domain events of Eventuate Tram.")
    tenant: FieldPlace | None = Field(
        default=None, description="Place of the tenant's id, such as headers.tenant."
    )


class ModulithSource(PlacedSource):
    """Events that Spring Modulith externalizes to Kafka."""

    format: Literal["modulith"] = Field(description="Externalized events of Spring Modulith, as JSON.")
    type: FieldPlace = Field(
        default="header:__TypeId__",
        description="Place of the event type. The default header contains the full class name of the"
        " event; if records do not have it, record:topic may serve.",
    )
    entity: FieldPlace | None = Field(
        default="record:key",
        description="Place of the id of the object that the event is about; by default the routing key.",
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
