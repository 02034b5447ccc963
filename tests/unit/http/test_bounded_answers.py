"""Every answer that is read anywhere has a bound, also the endless ones."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bridge.http.bounded_answer import UNPACKED, AnswerEncodedError, AnswerTooLargeError, read_bounded

BRIDGE = Path(__file__).resolve().parents[3] / "bridge"
CLIENTS = {"httpx", "aiohttp", "http.client", "urllib.request", "requests"}
UNBOUNDED = {
    "aread", "aiter_bytes", "aiter_text", "aiter_lines", "iter_bytes", "iter_text", "iter_lines", "urlopen",
}  # fmt: skip
"""Calls that read or unpack an answer of any size."""
READS_ALL = {"get", "post", "put", "patch", "delete", "request", "send"}
"""Calls of ``httpx.Client`` and of ``httpx`` itself that read the whole answer before they return it."""


class Endless(httpx.AsyncByteStream):
    """A body without an end, which counts what was read of it."""

    def __init__(self) -> None:
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent += 65536
            yield bytes(65536)


def client(body: httpx.AsyncByteStream, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, stream=body)

    return httpx.AsyncClient(transport=httpx.MockTransport(answer), headers=dict(UNPACKED))


async def test_an_endless_answer_is_read_only_up_to_its_limit() -> None:
    body = Endless()
    async with client(body) as sender, sender.stream("GET", "http://r.test/") as response:
        with pytest.raises(AnswerTooLargeError, match="larger than 100000 bytes"):
            await read_bounded(response, 100_000)
    assert body.sent == 131_072


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "unknown"])
async def test_nothing_of_a_compressed_answer_is_read(encoding: str) -> None:
    body = Endless()
    async with (
        client(body, {"content-encoding": encoding}) as sender,
        sender.stream("GET", "http://r.test/") as response,
    ):
        with pytest.raises(AnswerEncodedError):
            await read_bounded(response, 100_000)
    assert body.sent == 0


def test_no_module_reads_an_answer_without_a_bound() -> None:
    """``read_bounded`` and the transports are the only ways to read an answer."""
    findings = [
        f"{path.relative_to(BRIDGE)}:{node.lineno}: {node.func.attr}()"
        for path in sorted(BRIDGE.rglob("*.py"))
        if CLIENTS & _imported(tree := ast.parse(path.read_text("utf-8")))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_unbounded(node)
    ]
    assert findings == []


def _imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} if any(alias.name.startswith("Client") for alias in node.names) else set()
    return names


def _is_unbounded(call: ast.Call) -> bool:
    assert isinstance(call.func, ast.Attribute)
    name, owner = call.func.attr, ast.unparse(call.func.value).split(".")[-1]
    if name in UNBOUNDED or (name == "read" and not call.args):
        return True
    if name in {"json", "text"} and owner in {"response", "answer", "reply"}:
        return not (name == "json" and _is_own_answer(call))
    return name in READS_ALL and owner in {"httpx", "client", "_client", "requests"}


def _is_own_answer(call: ast.Call) -> bool:
    """``Answer.json()`` of the registry client reads bytes that are bounded already."""
    assert isinstance(call.func, ast.Attribute)
    return ast.unparse(call.func.value) == "answer"
