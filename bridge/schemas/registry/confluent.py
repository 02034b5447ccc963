"""The API of Confluent's registry; Karapace, Redpanda and Apicurio (``/apis/ccompat/v7``) offer it, too."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from bridge.formats.schema_cache import SchemaKey
from bridge.schemas.registry.client import RegistryClient, unexpected_answer
from bridge.schemas.registry.gather import Fetched, Gathered, UnusableSchemaError, gather

_SERIALIZED = {"format": "serialized"}


class ConfluentApi:
    """Fetches schemas by id and by GUID, and references by subject and version."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client

    async def fetch(self, key: SchemaKey) -> Gathered | None:
        """Return the schema with its references; None if it does not exist.

        A Protobuf schema is fetched a second time as a serialized descriptor, so that no ``.proto`` is
        compiled here. An Apicurio content id or global id is an ``id`` here, depending on the setting of
        that endpoint. Raises ``RegistryUnavailable``, ``AnswerTooLargeError``, ``UnusableSchemaError``.
        """
        path = f"/schemas/guids/{key.value}" if key.kind == "guid" else f"/schemas/ids/{key.value}"
        first = await self._get(path, serialized=False)
        if first is not None and first.kind == "PROTOBUF":
            first = await self._get(path, serialized=True)
        if first is None:
            return None
        kind = first.kind

        async def lookup(where: tuple[str, int]) -> Fetched:
            subject, version = where
            path = f"/subjects/{quote(subject, safe='')}/versions/{version}"
            schema = await self._get(path, serialized=kind == "PROTOBUF", deleted=True)
            if schema is None:
                raise UnusableSchemaError(
                    f"it refers to {subject!r} version {version}, which the registry does not have"
                )
            return schema

        return await gather(first, lookup)

    async def _get(self, path: str, *, serialized: bool, deleted: bool = False) -> Fetched | None:
        params = {**(_SERIALIZED if serialized else {}), **({"deleted": "true"} if deleted else {})}
        answer = await self._client.get(path, params)
        if answer is None:
            return None
        body = answer.json()
        if not isinstance(body, dict) or not isinstance(body.get("schema"), str):
            raise unexpected_answer(self._client)
        kind = body.get("schemaType") or "AVRO"  # Avro has no schemaType: it was once the only type
        return Fetched(
            str(kind).upper(), body["schema"], tuple(map(_reference, body.get("references") or ()))
        )


def _reference(reference: Any) -> tuple[str, tuple[str, int]]:
    try:
        return str(reference["name"]), (str(reference["subject"]), int(reference["version"]))
    except (KeyError, TypeError, ValueError) as exc:
        raise UnusableSchemaError("a reference in it has no name, subject or version") from exc
