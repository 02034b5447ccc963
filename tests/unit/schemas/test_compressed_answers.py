"""An answer of a registry that is compressed, or in several layers, is never unpacked."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator

import pytest

from bridge.errors import RegistryUnavailable
from bridge.schemas.registry.client import MAX_ANSWER_BYTES, RegistryClient, RegistryOptions
from tests.support.registry import StubRegistry

BOMB = gzip.compress(gzip.compress(bytes(64 << 20)))
"""64 MB in less than 1 kB."""


@pytest.fixture
def stub() -> Iterator[StubRegistry]:
    with StubRegistry() as stub:
        yield stub


@pytest.fixture
async def client(stub: StubRegistry) -> AsyncIterator[RegistryClient]:
    client = RegistryClient(RegistryOptions(stub.url))
    yield client
    await client.close()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"{}")),
        ("gzip, gzip", BOMB),
        ("gzip", gzip.compress(bytes(64 << 20))),
        ("deflate", zlib.compress(bytes(64 << 20))),
        ("identity, gzip", gzip.compress(b"{}")),
        ("x-anything", b"{}"),
    ],
    ids=["gzip", "gzip twice", "a bomb", "deflate", "identity first", "unknown"],
)
async def test_a_compressed_answer_is_refused_without_unpacking_it(
    stub: StubRegistry, client: RegistryClient, encoding: str, body: bytes
) -> None:
    stub.encoding, stub.raw = encoding, body
    tracemalloc.start()
    try:
        with pytest.raises(RegistryUnavailable, match="its answer is compressed, which the request did not"):
            await client.get("/schemas/ids/1")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MAX_ANSWER_BYTES * 2
    assert stub.accepted == {"identity"}


@pytest.mark.parametrize("encoding", [None, "identity", "Identity"])
async def test_an_answer_that_is_not_compressed_is_read(
    stub: StubRegistry, client: RegistryClient, encoding: str | None
) -> None:
    stub.register("paid", json.dumps("string"))
    stub.encoding, stub.raw = encoding, json.dumps({"schema": "x"}).encode()
    answer = await client.get("/schemas/ids/1")
    assert answer is not None
    assert answer.json() == {"schema": "x"}
