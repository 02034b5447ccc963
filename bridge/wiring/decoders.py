"""Build the decoder of each source, and the registry that it gets schemas from.

Reads schema files and TLS files, nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from bridge.core.asked_fields import EVERYTHING, AskedFields
from bridge.formats import Decoder
from bridge.formats.cloudevents import CloudEventsDecoder
from bridge.formats.debezium import HINTS, DebeziumDecoder
from bridge.formats.event_reader import EventReader
from bridge.formats.eventuate import EventuateDecoder
from bridge.formats.field_paths import FieldPaths
from bridge.formats.fineract import FineractDecoder
from bridge.formats.payload_only import (
    AvroValueReader,
    JsonValueReader,
    PayloadDecoder,
    RegistryValueReader,
    ValueReader,
)
from bridge.formats.plain_json import PlainJsonDecoder
from bridge.formats.registry.framing import read_apicurio_frame, read_confluent_frame
from bridge.formats.schema_cache import SchemaCache
from bridge.http.tls import load_configured_context
from bridge.schemas.folder import SchemaFolder, read_schema_file
from bridge.schemas.registry.client import RegistryOptions
from bridge.schemas.registry.learn import Registries, Registry
from bridge.settings import (
    ApicurioSource,
    AvroSource,
    CloudEventsSource,
    ConfluentSource,
    DebeziumSource,
    EventuateSource,
    FineractSource,
    JsonSource,
    ModulithSource,
    RegistrySettings,
    Settings,
    SourceSettings,
)
from bridge.wiring.kafka import again_topic
from bridge.wiring.topics import TopicDecoders, build_selection


def build_decoders(settings: Settings, asked: AskedFields = EVERYTHING) -> TopicDecoders:
    """Build the decoder of each source. Raises ``ConfigError`` for schema files that do not load.

    ``asked`` are the fields that the endpoints ask for (``build_asked_fields``). If they change later, the
    decoders still decode what each reader names, but no longer only that.
    """
    return TopicDecoders(
        {name: build_decoder(name, source, asked) for name, source in settings.sources.items()},
        build_selection(settings),
        again=again_topic(settings),
        endpoints=settings.endpoints,
    )


def build_decoder(name: str, source: SourceSettings, asked: AskedFields = EVERYTHING) -> Decoder:
    """Build the decoder of a source. Raises ``ConfigError`` for schema files that do not load."""
    limit = source.max_value_bytes
    match source:
        case FineractSource():
            return FineractDecoder(
                name,
                SchemaFolder(source.schemas),
                max_value_bytes=limit,
                split_bulk=source.bulk == "split",
                non_finite=source.non_finite,
                asked=asked.of(name),
            )
        case CloudEventsSource():
            return CloudEventsDecoder(name, max_value_bytes=limit)
        case EventuateSource():
            return EventuateDecoder(name, tenant=source.tenant, max_value_bytes=limit)
        case DebeziumSource():
            return _debezium(name, source)
        case JsonSource():
            paths = _field_paths(source)
            return PlainJsonDecoder(
                name,
                id=source.id,
                type=source.type,
                entity=paths.entity,
                time=paths.time,
                data=paths.data,
                tenant=paths.tenant,
                time_unit=source.time_unit,
                max_value_bytes=limit,
            )
        case ModulithSource() | ConfluentSource() | ApicurioSource() | AvroSource():
            reader = EventReader(name, _field_paths(source), time_unit=source.time_unit)
            return PayloadDecoder(name, _values(name, source), reader, max_value_bytes=limit)
    raise AssertionError(source.format)


def _values(name: str, source: ModulithSource | ConfluentSource | ApicurioSource | AvroSource) -> ValueReader:
    match source:
        case ConfluentSource():
            return RegistryValueReader(SchemaCache(name), read_confluent_frame, source.non_finite)
        case ApicurioSource():
            read_frame = partial(read_apicurio_frame, prefix_ids=source.prefix_ids)
            return RegistryValueReader(SchemaCache(name), read_frame, source.non_finite)
        case AvroSource():
            return AvroValueReader(read_schema_file(source.schema_file), source.non_finite)
        case ModulithSource():
            return JsonValueReader(name)


def _debezium(name: str, source: DebeziumSource) -> Decoder:
    type_ = source.type or ("eventType" if source.envelope else "header:eventType")
    data = "payload" if source.envelope else None
    paths = FieldPaths(source.id, type_, source.entity, source.time, data, source.tenant)
    values: ValueReader = JsonValueReader(name)
    if source.registry:
        values = RegistryValueReader(SchemaCache(name), read_confluent_frame, source.non_finite)
    return DebeziumDecoder(
        name,
        values,
        EventReader(name, paths, HINTS, time_unit=source.time_unit),
        envelope=source.envelope,
        max_value_bytes=source.max_value_bytes,
    )


def _field_paths(
    source: JsonSource | ModulithSource | ConfluentSource | ApicurioSource | AvroSource,
) -> FieldPaths:
    return FieldPaths(source.id, source.type, source.entity, source.time, source.data, source.tenant)


def build_registries(sources: Mapping[str, SourceSettings], decoders: Mapping[str, Decoder]) -> Registries:
    """Build the registry of each source that has one; it fills the schema store of the source's decoder.

    ``decoders`` are by source. Raises ``ConfigError`` for TLS files that do not load.
    """
    registries = {}
    for name, source in sources.items():
        settings = getattr(source, "registry", None)
        if not isinstance(settings, RegistrySettings):
            continue
        decoder = decoders[name]
        assert isinstance(decoder, PayloadDecoder | DebeziumDecoder)
        assert isinstance(decoder.values, RegistryValueReader)
        registries[name] = Registry(
            build_registry_options(name, settings), settings.speaks, decoder.values.schemas
        )
    return Registries(registries)


def build_registry_options(name: str, settings: RegistrySettings) -> RegistryOptions:
    """Build how to connect to the registry of a source. Raises ``ConfigError`` for TLS files."""
    return RegistryOptions(
        settings.url,
        username=settings.username,
        password=settings.password.get_secret_value() if settings.password else None,
        token=settings.token.get_secret_value() if settings.token else None,
        tls=load_configured_context(f"sources.{name}.registry", settings),
        timeout_s=settings.timeout_s,
    )
