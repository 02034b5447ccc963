"""A schema registry over HTTP: the meaning of its answers, and the limits on them."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import pytest
from google.protobuf import descriptor_pb2

from bridge.errors import DecodeError, RegistryUnavailable, SchemaNeeded
from bridge.formats.registry.framing import read_apicurio_frame, read_confluent_frame
from bridge.formats.schema_cache import SchemaCache, SchemaKey
from bridge.schemas.registry import learn
from bridge.schemas.registry.client import MAX_ANSWER_BYTES, RegistryOptions
from bridge.schemas.registry.learn import Registries, Registry
from tests.support.records import record
from tests.support.registry import StubRegistry, descriptor_text

PAID = {"type": "record", "name": "Paid", "namespace": "shop", "fields": [{"name": "id", "type": "string"}]}


@pytest.fixture
def stub() -> Iterator[StubRegistry]:
    with StubRegistry() as stub:
        yield stub


class FilledStore:
    """A store, and the registry that fills it."""

    def __init__(
        self,
        stub: StubRegistry,
        api: Literal["confluent", "apicurio"] = "confluent",
        path: str = "",
        **options: Any,
    ) -> None:
        self.store = SchemaCache("orders")
        self.registry = Registry(RegistryOptions(stub.url + path, **options), api, self.store)

    async def read(self, kind: str, value: str, data: bytes) -> Any:
        key = SchemaKey(kind, value)
        await self.registry.learn(key)
        is_apicurio = kind in ("content", "global")
        frame = read_apicurio_frame if is_apicurio else read_confluent_frame
        return self.store.get(key, "here").read(frame(record(data), data), "here")


@pytest.fixture
async def filled(stub: StubRegistry) -> AsyncIterator[FilledStore]:
    filled = FilledStore(stub)
    yield filled
    await filled.registry.close()


async def test_avro_with_references_is_read_by_id_and_by_guid(
    stub: StubRegistry, filled: FilledStore
) -> None:
    """The inner type is referred to twice, as in real schemas."""
    stub.register("money value", json.dumps({"type": "fixed", "name": "shop.Amount", "size": 4,
                  "logicalType": "decimal", "precision": 9, "scale": 2}))  # fmt: skip
    money = {"name": "shop.Amount", "subject": "money value", "version": 1}
    line = {
        "type": "record",
        "name": "Line",
        "namespace": "shop",
        "fields": [{"name": "price", "type": "Amount"}],
    }
    stub.register("line", json.dumps(line), references=[money])
    order = {
        "type": "record",
        "name": "shop.Order",
        "fields": [
            {"name": "lines", "type": {"type": "array", "items": "shop.Line"}},
            {"name": "total", "type": "shop.Amount"},
        ],
    }
    references = [{"name": "shop.Line", "subject": "line", "version": 1}, money]
    number = stub.register("order", json.dumps(order), references=references)
    raw = b"\x02" + (199).to_bytes(4, "big") + b"\x00" + (2**31 - 1).to_bytes(4, "big")
    name, document, _ = await filled.read("id", str(number), b"\0" + number.to_bytes(4, "big") + raw)
    assert name == "shop.Order"
    assert str(document["total"]) == "21474836.47"
    assert [str(line["price"]) for line in document["lines"]] == ["1.99"]
    guid = stub.guid(number)
    again = await filled.read("guid", guid, b"\1" + bytes.fromhex(guid.replace("-", "")) + raw)
    assert again[:2] == (name, document)


def proto(name: str, *messages: str, imports: tuple[str, ...] = ()) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name=name, package="shop", syntax="proto3", dependency=imports)
    for message in messages:
        descriptor = file.message_type.add(name=message)
        descriptor.field.add(name="order_id", number=1, type=9, label=1)
        descriptor.nested_type.add(name="Inner").field.add(name="cents", number=1, type=3, label=1)
    return file


async def test_protobuf_is_read_by_message_indexes_with_its_imports(
    stub: StubRegistry, filled: FilledStore
) -> None:
    stub.register("common", descriptor_text(proto("whatever", "Common")), "PROTOBUF")
    file = proto("o.proto", "First", "Second", imports=("shop/common.proto", "google/type/money.proto"))
    file.message_type[1].field.add(name="common", number=2, type=11, type_name=".shop.Common", label=1)
    file.message_type[1].field.add(name="total", number=3, type=11, type_name=".google.type.Money", label=1)
    references = [{"name": "shop/common.proto", "subject": "common", "version": 1}]
    number = stub.register("order", descriptor_text(file), "PROTOBUF", references)
    prefix = b"\0" + number.to_bytes(4, "big")
    first = await filled.read("id", str(number), prefix + b"\0" + b"\x0a\x01a")
    assert first[:2] == ("shop.First", {"order_id": "a"})
    second = (
        b"\x0a\x01b\x12\x03\x0a\x01c" + b"\x1a\x10\x0a\x03KES\x10\x95\x9a\xef\x3a\x18\x80\xca\xb5\xee\x01"
    )
    name, document, _ = await filled.read("id", str(number), prefix + b"\x02\x02" + second)
    assert name == "shop.Second"
    assert document["common"] == {"order_id": "c"}
    assert document["total"] == {"currency_code": "KES", "units": "123456789", "nanos": 500000000}
    inner = await filled.read(
        "id", str(number), prefix + b"\x04\x02\x00" + b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40"
    )
    assert inner[:2] == ("shop.Second.Inner", {"cents": str(2**62)})
    for bad in (b"\x02\x08", b"\x06\x02\x00\x00", b"\x81", b"\xff" * 11, b"\x05"):
        with pytest.raises(DecodeError):
            await filled.read("id", str(number), prefix + bad)


async def test_the_cause_names_a_registry_without_support_for_serialized(
    stub: StubRegistry, filled: FilledStore
) -> None:
    stub.supports_serialized = False
    number = stub.register("order", descriptor_text(proto("o.proto", "First")), "PROTOBUF")
    with pytest.raises(
        DecodeError, match=r"does not support format=serialized.*use a registry that supports"
    ):
        await filled.read("id", str(number), b"\0" + number.to_bytes(4, "big") + b"\0")


async def test_the_cause_names_a_missing_import(stub: StubRegistry, filled: FilledStore) -> None:
    file = proto("o.proto", "First", imports=("acme/away.proto",))
    number = stub.register("order", descriptor_text(file), "PROTOBUF")
    with pytest.raises(DecodeError, match=r"imports acme/away\.proto, which the registry did not return"):
        await filled.read("id", str(number), b"\0" + number.to_bytes(4, "big") + b"\0")


@pytest.mark.parametrize(
    "key", [SchemaKey("id", "7"), SchemaKey("guid", "00000000-0000-0000-0000-000000000001")]
)
async def test_a_missing_schema_is_refused_for_a_while_and_then_fetched_again(
    stub: StubRegistry, filled: FilledStore, key: SchemaKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setattr(learn, "REFUSED_FOR_S", 0.05)
    await filled.registry.learn(key)
    with pytest.raises(DecodeError, match=f"has no schema with {key}; .*parked redrive"):
        filled.store.get(key, "here")
    async with asyncio.timeout(5):
        while True:
            try:
                filled.store.get(key, "here")
            except SchemaNeeded:
                return
            except DecodeError:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503, 301, 400, 422, 501])
async def test_an_answer_that_is_not_about_the_schema_is_an_outage(
    stub: StubRegistry, filled: FilledStore, status: int
) -> None:
    stub.status = status
    with pytest.raises(RegistryUnavailable, match=f"{stub.url} answered {status}"):
        await filled.registry.learn(SchemaKey("id", "1"))
    with pytest.raises(SchemaNeeded):
        filled.store.get(SchemaKey("id", "1"), "here")


async def test_a_wrong_url_is_an_outage_and_parks_nothing(stub: StubRegistry) -> None:
    """Confluent's server answers 404 with error code 404 for any unknown path."""
    wrong = FilledStore(stub, path="/registry")
    with pytest.raises(
        RegistryUnavailable, match=r"answered 404, but not about a schema: check registry\.url"
    ):
        await wrong.registry.learn(SchemaKey("id", "1"))
    await wrong.registry.close()


@pytest.mark.parametrize("raw", [b"<html>log in</html>", b"[]", b'{"schema": 7}', b"\xff\xfe", b"null"])
async def test_a_page_instead_of_a_schema_is_an_outage(
    stub: StubRegistry, filled: FilledStore, raw: bytes
) -> None:
    stub.register("order", json.dumps(PAID))
    stub.raw = raw
    with pytest.raises(RegistryUnavailable, match="without a schema: check"):
        await filled.registry.learn(SchemaKey("id", "1"))


async def test_a_refused_connection_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = SchemaCache("orders")
    registry = Registry(RegistryOptions(f"http://127.0.0.1:{port}"), "confluent", store)
    with pytest.raises(RegistryUnavailable, match="cannot be reached"):
        await registry.learn(SchemaKey("id", "1"))
    await registry.close()


async def test_a_registry_that_does_not_answer_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        registry = Registry(RegistryOptions(url, timeout_s=0.1), "confluent", SchemaCache("orders"))
        with pytest.raises(RegistryUnavailable, match=r"did not answer in 0\.1 s"):
            await registry.learn(SchemaKey("id", "1"))
        await registry.close()


async def test_an_answer_above_the_limit_is_not_read_to_its_end(
    stub: StubRegistry, filled: FilledStore
) -> None:
    stub.register("order", json.dumps(PAID))
    stub.raw = b" " * (MAX_ANSWER_BYTES + 1)
    await filled.registry.learn(SchemaKey("id", "1"))
    with pytest.raises(DecodeError, match="its answer is larger than"):
        filled.store.get(SchemaKey("id", "1"), "here")


async def test_references_are_limited_in_depth_and_number_and_may_be_cyclic(
    stub: StubRegistry, filled: FilledStore
) -> None:
    for number in range(1, 40):
        after = [{"name": f"n{number + 1}", "subject": f"s{number + 1}", "version": 1}]
        stub.register(
            f"s{number}", json.dumps({"type": "fixed", "name": f"n{number}", "size": 1}), references=after
        )
    with pytest.raises(DecodeError, match="nested more than 20 deep"):
        await filled.read("id", "1", b"\0\0\0\0\1")
    wide = [{"name": f"w{number}", "subject": f"w{number}", "version": 1} for number in range(120)]
    for number in range(120):
        stub.register(f"w{number}", json.dumps({"type": "fixed", "name": f"w{number}", "size": 1}))
    root = stub.register("wide", json.dumps(PAID), references=wide)
    with pytest.raises(DecodeError, match="refers to more than 100 others"):
        await filled.read("id", str(root), b"\0" + root.to_bytes(4, "big"))
    own = [{"name": "shop.Paid", "subject": "own", "version": 1}]
    circle = stub.register("own", json.dumps(PAID), references=own)
    frame = b"\0" + circle.to_bytes(4, "big") + b"\x02a"
    assert (await filled.read("id", str(circle), frame))[:2] == ("shop.Paid", {"id": "a"})


@pytest.mark.parametrize("text", ["{", "7", '{"type": "record"}', '{"type": "record", "name": "R"}',
                                  '"nothing.like.it"', '["null", 7]', "[" * 5000])  # fmt: skip
async def test_an_invalid_schema_makes_the_record_undecodable(
    stub: StubRegistry, filled: FilledStore, text: str
) -> None:
    number = stub.register("order", text)
    with pytest.raises(DecodeError, match=f"schema with id {number}"):
        await filled.read("id", str(number), b"\0" + number.to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"username": "key", "password": "s3cret"}, "Basic a2V5OnMzY3JldA=="),
        ({"token": "s3cret"}, "Bearer s3cret"),
        ({}, None),
    ],
)
async def test_credentials_are_sent_and_not_shown(
    stub: StubRegistry, options: dict[str, Any], sent: str
) -> None:
    filled = FilledStore(stub, **options)
    await filled.registry.learn(SchemaKey("id", "1"))
    assert stub.authorizations == {sent}
    stub.status = 401
    with pytest.raises(RegistryUnavailable) as caught:
        await filled.registry.learn(SchemaKey("id", "1"))
    assert "s3cret" not in str(caught.value) + repr(RegistryOptions(stub.url, **options))
    await filled.registry.close()


async def test_a_known_schema_is_not_fetched_again(stub: StubRegistry, filled: FilledStore) -> None:
    number = stub.register("order", json.dumps(PAID))
    key = SchemaKey("id", str(number))
    await Registries({"orders": filled.registry}).learn(SchemaNeeded("orders", key))
    for _ in range(3):
        filled.store.get(key, "here")
    assert stub.requests == {"/schemas/ids/1": 1}


def test_the_store_is_bounded_and_forgets_the_oldest_schema() -> None:
    store = SchemaCache("orders", limit=2)
    keys = [SchemaKey("id", str(number)) for number in range(3)]
    for key in keys:
        store.put(key, learn.Refusal("c", "r"))
    with pytest.raises(SchemaNeeded):
        store.get(keys[0], "here")
    for key in keys[1:]:
        with pytest.raises(DecodeError):
            store.get(key, "here")


async def test_apicurios_own_api_is_read_by_content_id_and_by_global_id(stub: StubRegistry) -> None:
    own = FilledStore(stub, api="apicurio", path="/apis/registry/v3")
    inner = {"type": "enum", "name": "shop.Kind", "symbols": ["CASH", "CARD"]}
    outer = {"type": "record", "name": "shop.Paid", "fields": [{"name": "kind", "type": "shop.Kind"}]}
    reference = {"groupId": None, "artifactId": "kind", "version": "1", "name": "shop.Kind"}
    stub.contents["/ids/contentIds/5"] = ("AVRO", json.dumps(outer), [reference])
    stub.contents["/ids/globalIds/6"] = ("", json.dumps(outer), [reference])
    stub.contents["/groups/default/artifacts/kind/versions/1"] = ("AVRO", json.dumps(inner), [])
    stub.contents["/ids/contentIds/7"] = ("JSON", json.dumps({"title": "Seen", "type": "object"}), [])
    stub.contents["/ids/contentIds/9"] = ("PROTOBUF", 'syntax = "proto3";', [])
    assert (await own.read("content", "5", b"\0\0\0\0\5\2"))[:2] == ("shop.Paid", {"kind": "CARD"})
    assert (await own.read("global", "6", b"\0" + bytes(7) + b"\6\0"))[:2] == ("shop.Paid", {"kind": "CASH"})
    assert (await own.read("content", "7", b'\0\0\0\0\7{"a": 1.10}'))[:2] == ("Seen", {"a": 1.1})
    with pytest.raises(DecodeError, match="has no schema with content id 8"):
        await own.read("content", "8", b"\0\0\0\0\x08")
    with pytest.raises(DecodeError, match=r"the registry returned \.proto text"):
        await own.read("content", "9", b"\0\0\0\0\x09\0")
    await own.registry.close()
