"""A schema registry on loopback: the parts of Confluent's and Apicurio's APIs that serializers and Hookferry
use.

Confluent: serializers register with ``POST /subjects/{subject}/versions``. Apicurio: a test puts answers into
``contents``. The stub counts requests, and can answer with an error ``status``.
"""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

NAMESPACE = uuid.UUID(int=7)
Reply = tuple[int, Any]
NO_SCHEMA: Reply = (404, {"error_code": 40403, "message": "Schema not found"})


class StubRegistry:
    """Both APIs at one address, as a context manager."""

    def __init__(self) -> None:
        self.schemas: dict[int, dict[str, Any]] = {}
        self.subjects: dict[str, list[int]] = {}
        self.contents: dict[str, tuple[str, str, list[dict[str, Any]]]] = {}
        """Apicurio: path below ``/apis/registry/v3`` to type, text and references."""
        self.requests: Counter[str] = Counter()
        self.authorizations: set[str | None] = set()
        self.status: int | None = None
        """Sent as the status of every answer, if set."""
        self.supports_serialized = True
        self.raw: bytes | None = None
        """Sent as the body of every answer, if set."""
        self.encoding: str | None = None
        """Sent as the content-encoding of every answer, if set."""
        self.accepted: set[str | None] = set()
        """The accept-encoding of each request."""
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.authorizations.add(self.headers.get("authorization"))
                registry.accepted.add(self.headers.get("accept-encoding"))
                parts = urlsplit(self.path)
                registry.requests[parts.path] += 1
                self._send(*registry._get(parts.path, parse_qs(parts.query)))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self._send(*registry._post(urlsplit(self.path).path, body))

            def _send(self, status: int, body: Any, artifact_type: str | None = None) -> None:
                raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                if registry.raw is not None:
                    raw = registry.raw
                self.send_response(status)
                self.send_header("content-length", str(len(raw)))
                if registry.encoding:
                    self.send_header("content-encoding", registry.encoding)
                if artifact_type:
                    self.send_header("X-Registry-ArtifactType", artifact_type)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> StubRegistry:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def register(self, subject: str, schema: str, kind: str = "AVRO", references: Any = ()) -> int:
        """Add a schema and return its id."""
        body = {"schema": schema, "schemaType": kind, "references": list(references)}
        known = [number for number, schema in self.schemas.items() if schema == body]
        number = known[0] if known else len(self.schemas) + 1
        self.schemas[number] = body
        versions = self.subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def guid(self, number: int) -> str:
        return str(uuid.uuid5(NAMESPACE, str(number)))

    def _shown(self, number: int, query: dict[str, list[str]]) -> dict[str, Any]:
        shown = {"id": number, "guid": self.guid(number), **self.schemas[number]}
        if shown["schemaType"] == "AVRO":
            del shown["schemaType"]
        if not shown["references"]:
            del shown["references"]
        serialized = query.get("format") == ["serialized"] and self.supports_serialized
        if self.schemas[number]["schemaType"] == "PROTOBUF" and not serialized:
            shown["schema"] = 'syntax = "proto3";\nmessage Shown {}\n'
        return shown

    def _get(self, path: str, query: dict[str, list[str]]) -> tuple[Any, ...]:
        if self.status:
            return self.status, {"error_code": 50001, "message": "unavailable"}
        if path.startswith("/apis/registry/v3/"):
            return self._apicurio(path.removeprefix("/apis/registry/v3"))
        match [unquote(part) for part in path.split("/")[1:]]:
            case ["schemas", "ids", text]:
                number = int(text)
            case ["schemas", "guids", guid]:
                number = next((known for known in self.schemas if self.guid(known) == guid), 0)
            case ["subjects", subject, "versions", version]:
                versions = self.subjects.get(subject, [])
                if not 0 < int(version) <= len(versions):
                    return 404, {"error_code": 40402, "message": "Version not found"}
                number = versions[int(version) - 1]
                return 200, {"subject": subject, "version": int(version), **self._shown(number, query)}
            case _:
                return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}
        return (200, self._shown(number, query)) if number in self.schemas else NO_SCHEMA

    def _apicurio(self, path: str) -> tuple[Any, ...]:
        content, references, _ = path.partition("/references")
        answer = self.contents.get(content if references else content.removesuffix("/content"))
        if answer is None:
            return 404, {"error_code": 404, "name": "ContentNotFoundException", "message": "No content"}
        kind, text, refs = answer
        return (200, refs) if references else (200, text, kind)

    def _post(self, path: str, body: dict[str, Any]) -> Reply:
        parts = [unquote(part) for part in path.split("/")[1:]]
        kind = body.get("schemaType") or "AVRO"
        number = self.register(parts[1], body["schema"], kind, body.get("references") or ())
        version = self.subjects[parts[1]].index(number) + 1
        return 200, {
            "id": number, "guid": self.guid(number), "subject": parts[1], "version": version,
            "schema": body["schema"], "schemaType": kind, "references": body.get("references") or [],
        }  # fmt: skip


def descriptor_text(file: Any) -> str:
    """Return a ``FileDescriptorProto`` as registries serve it."""
    return base64.b64encode(file.SerializeToString()).decode()
