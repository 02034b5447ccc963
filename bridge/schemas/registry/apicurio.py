"""Apicurio's own API, versions 2 and 3 (``…/apis/registry/v3``).

Edge floor. Takes a key, gives a schema with all its references.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from bridge.formats.schema_cache import SchemaKey
from bridge.schemas.registry.client import Answer, RegistryClient, unusable
from bridge.schemas.registry.gather import Fetched, Gathered, Unfit, gather

_AVRO = frozenset({"record", "enum", "fixed", "map", "bytes", "int", "long", "float", "double"})


class ApicurioApi:
    """Asks for content by content id and global id, and for references by group, artifact and version."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client
        self._content = "" if "/registry/v2" in client.url else "/content"

    async def fetch(self, key: SchemaKey) -> Gathered | None:
        """The schema; None when there is none. Raises ``RegistryUnavailable``, ``TooLarge``, ``Unfit``."""
        kind = "contentIds" if key.kind == "content" else "globalIds"
        path = f"/ids/{kind}/{key.value}"
        first = await self._fetched(path, path, {"returnArtifactType": "true"})
        if first is None:
            return None

        async def lookup(where: tuple[str, str, str]) -> Fetched:
            group, artifact, version = (quote(part, safe="") for part in where)
            path = f"/groups/{group}/artifacts/{artifact}/versions/{version}"
            found = await self._fetched(path + self._content, path, {})
            if found is None:
                raise Unfit(f"it refers to {'/'.join(where)}, which the registry does not have")
            return found

        return await gather(first, lookup)

    async def _fetched(self, content: str, path: str, params: dict[str, str]) -> Fetched | None:
        answer = await self._client.get(content, params)
        if answer is None:
            return None
        try:
            text = answer.body.decode()
        except UnicodeDecodeError as exc:
            raise unusable(self._client) from exc
        references = await self._client.get(f"{path}/references")
        listed = references.json() if references is not None else []
        if not isinstance(listed, list):
            raise unusable(self._client)
        return Fetched(_kind(answer), text, tuple(map(_reference, listed)))


def _kind(answer: Answer) -> str:
    """The type in the header, or what the content looks like where an older version sends none."""
    if answer.artifact_type:
        return answer.artifact_type.upper()
    try:
        content = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return "PROTOBUF"
    if not isinstance(content, dict):
        return "AVRO"
    return "AVRO" if "fields" in content or content.get("type") in _AVRO else "JSON"


def _reference(one: Any) -> tuple[str, tuple[str, str, str]]:
    try:
        return str(one["name"]), (
            one.get("groupId") or "default",
            str(one["artifactId"]),
            str(one["version"]),
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise Unfit("a reference in it has no name, artifact or version") from exc
