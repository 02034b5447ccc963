"""Fetches schemas from registries into the store that decoders read.

A registry that is unavailable raises, and the caller tries again. A schema that does not exist or cannot be
used is an answer (``Refusal``), and is kept for a minute.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import structlog

from bridge.errors import SchemaNeeded
from bridge.formats.avro.definitions import DefinitionError
from bridge.formats.avro.schema import avro_schema
from bridge.formats.registry.json_schema import JsonSchema
from bridge.formats.registry.protobuf_schema import protobuf_schema
from bridge.formats.schema_cache import KnownSchema, Refusal, SchemaCache, SchemaKey
from bridge.http.bounded_answer import AnswerTooLargeError
from bridge.schemas.registry.apicurio import ApicurioApi
from bridge.schemas.registry.client import RegistryClient, RegistryOptions
from bridge.schemas.registry.confluent import ConfluentApi
from bridge.schemas.registry.gather import Gathered, UnusableSchemaError
from bridge.telemetry import events

_log = structlog.get_logger()
REFUSED_FOR_S = 60.0
"""How long a refusal is kept: the schema of an id never changes, but a missing one may be registered."""

_PRODUCER = "check what writes to this topic, register the schema, then run hookferry parked redrive"
_REGISTER = "register the schema again in a form that can be read, then run hookferry parked redrive"
_SERIALIZED = (
    "use a registry that supports the parameter: Confluent's, Redpanda from 25.2 on, Karapace, or a recent"
    " Apicurio 3 under /apis/ccompat/v7 with registry.api: confluent"
)


class Api(Protocol):
    """An API of a registry."""

    async def fetch(self, key: SchemaKey) -> Gathered | None:
        """Return the schema with its references; None if it does not exist."""
        ...


class Registry:
    """The registry of one source."""

    def __init__(
        self, options: RegistryOptions, api: Literal["confluent", "apicurio"], store: SchemaCache
    ) -> None:
        self._client = RegistryClient(options)
        self._api: Api = (ConfluentApi if api == "confluent" else ApicurioApi)(self._client)
        self._store = store

    async def learn(self, key: SchemaKey) -> None:
        """Fetch the schema of a key into the store. Raises ``RegistryUnavailable``."""
        schema = await self._fetch(key)
        self._store.put(key, schema)
        if isinstance(schema, Refusal):
            asyncio.get_running_loop().call_later(REFUSED_FOR_S, self._store.forget, key)
        else:
            _log.info(events.SCHEMA_LEARNED, registry=self._client.origin, key=str(key))

    async def _fetch(self, key: SchemaKey) -> KnownSchema | Refusal:
        where = f"the registry {self._client.origin}"
        try:
            gathered = await self._api.fetch(key)
        except (UnusableSchemaError, AnswerTooLargeError) as exc:
            return Refusal(f"the schema with {key} in {where} cannot be used: {exc}", _REGISTER)
        if gathered is None:
            return Refusal(f"{where} has no schema with {key}", _PRODUCER)
        try:
            return build_schema(gathered, f"schema with {key}")
        except DefinitionError as exc:
            remedy = _SERIALIZED if "format=serialized" in str(exc) else _REGISTER
            return Refusal(f"{where}: {exc}", remedy)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class Registries:
    """The registries of all sources that have one."""

    def __init__(self, by_source: Mapping[str, Registry]) -> None:
        self._by_source = by_source

    async def learn(self, needed: SchemaNeeded) -> None:
        """Fetch the schema that the decoder of a source needs. Raises ``RegistryUnavailable``."""
        assert isinstance(needed.key, SchemaKey)
        await self._by_source[needed.source].learn(needed.key)

    async def close(self) -> None:
        """Close all connections."""
        for registry in self._by_source.values():
            await registry.close()


def build_schema(gathered: Gathered, origin: str) -> KnownSchema:
    """Build the schema that decodes records. Raises ``DefinitionError``."""
    references = gathered.references
    match gathered.kind:
        case "AVRO":
            return avro_schema(
                _json(gathered.text, origin), [_json(text, origin) for text in references.values()], origin
            )
        case "JSON":
            return JsonSchema(_json(gathered.text, origin))
        case "PROTOBUF":
            return protobuf_schema(gathered.text, references, origin)
    raise DefinitionError(origin, f"is of type {gathered.kind[:40]}, not AVRO, JSON or PROTOBUF")


def _json(text: str, origin: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise DefinitionError(origin, f"is not JSON ({type(exc).__name__})") from exc
