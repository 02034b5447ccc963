"""Apicurio's own API, versions 2 and 3 (``…/apis/registry/v3``)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from bridge.formats.schema_cache import SchemaKey
from bridge.schemas.registry.client import Answer, RegistryClient, unexpected_answer
from bridge.schemas.registry.gather import Fetched, Gathered, UnusableSchemaError, gather

_AVRO = frozenset({"record", "enum", "fixed", "map", "bytes", "int", "long", "float", "double"})


class ApicurioApi:
    """Fetches schemas by content id and global id, and references by group, artifact and version."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client
        self._content = "" if "/registry/v2" in client.url else "/content"

    async def fetch(self, key: SchemaKey) -> Gathered | None:
        """Return the schema with its references; None if it does not exist.

        Raises ``RegistryUnavailable``, ``AnswerTooLargeError``, ``UnusableSchemaError``.
        """
        kind = "contentIds" if key.kind == "content" else "globalIds"
        path = f"/ids/{kind}/{key.value}"
        first = await self._fetch(path, path, {"returnArtifactType": "true"})
        if first is None:
            return None

        async def lookup(where: tuple[str, str, str]) -> Fetched:
            group, artifact, version = (quote(part, safe="") for part in where)
            path = f"/groups/{group}/artifacts/{artifact}/versions/{version}"
            schema = await self._fetch(path + self._content, path, {})
            if schema is None:
                raise UnusableSchemaError(f"it refers to {'/'.join(where)}, which the registry does not have")
            return schema

        return await gather(first, lookup)

    async def _fetch(self, content: str, path: str, params: dict[str, str]) -> Fetched | None:
        answer = await self._client.get(content, params)
        if answer is None:
            return None
        try:
            text = answer.body.decode()
        except UnicodeDecodeError as exc:
            raise unexpected_answer(self._client) from exc
        references = await self._client.get(f"{path}/references")
        listed = references.json() if references is not None else []
        if not isinstance(listed, list):
            raise unexpected_answer(self._client)
        return Fetched(_kind(answer), text, tuple(map(_reference, listed)))


def _kind(answer: Answer) -> str:
    """Return the type in the header; older versions send none, then guess it from the content."""
    if answer.artifact_type:
        return answer.artifact_type.upper()
    try:
        content = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return "PROTOBUF"
    if not isinstance(content, dict):
        return "AVRO"
    return "AVRO" if "fields" in content or content.get("type") in _AVRO else "JSON"


def _reference(reference: Any) -> tuple[str, tuple[str, str, str]]:
    try:
        return str(reference["name"]), (
            reference.get("groupId") or "default",
            str(reference["artifactId"]),
            str(reference["version"]),
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise UnusableSchemaError("a reference in it has no name, artifact or version") from exc
