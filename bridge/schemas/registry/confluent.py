"""The API of Confluent's registry, which Karapace, Redpanda and Apicurio (``/apis/ccompat/v7``) speak too.

Edge floor. Takes a key, gives a schema with all its references.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from bridge.formats.schema_cache import SchemaKey
from bridge.schemas.registry.client import RegistryClient, unusable
from bridge.schemas.registry.gather import Fetched, Gathered, Unfit, gather

_SERIALIZED = {"format": "serialized"}


class ConfluentApi:
    """Asks for schemas by id, by GUID, and for references by subject and version."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client

    async def fetch(self, key: SchemaKey) -> Gathered | None:
        """The schema; None when there is none. Raises ``RegistryUnavailable``, ``TooLarge``, ``Unfit``.

        Protobuf is asked for once more, as a serialised descriptor, so that no ``.proto`` is compiled here.
        An Apicurio content id or global id is an ``id`` here, whichever of both that endpoint is set to.
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
            found = await self._get(path, serialized=kind == "PROTOBUF", deleted=True)
            if found is None:
                raise Unfit(f"it refers to {subject!r} version {version}, which the registry does not have")
            return found

        return await gather(first, lookup)

    async def _get(self, path: str, *, serialized: bool, deleted: bool = False) -> Fetched | None:
        params = {**(_SERIALIZED if serialized else {}), **({"deleted": "true"} if deleted else {})}
        answer = await self._client.get(path, params)
        if answer is None:
            return None
        body = answer.json()
        if not isinstance(body, dict) or not isinstance(body.get("schema"), str):
            raise unusable(self._client)
        kind = (
            body.get("schemaType") or "AVRO"
        )  # left out for Avro, from the time when there was nothing else
        return Fetched(
            str(kind).upper(), body["schema"], tuple(map(_reference, body.get("references") or ()))
        )


def _reference(one: Any) -> tuple[str, tuple[str, int]]:
    try:
        return str(one["name"]), (str(one["subject"]), int(one["version"]))
    except (KeyError, TypeError, ValueError) as exc:
        raise Unfit("a reference in it has no name, subject or version") from exc
