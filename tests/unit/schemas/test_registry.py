"""A schema registry asked over HTTP: what its answers mean, and what they may not do to us."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Iterator

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
    with StubRegistry() as one:
        yield one


class Asked:
    """A store, and the registry that fills it."""

    def __init__(self, stub: StubRegistry, api: str = "confluent", path: str = "", **options: object) -> None:
        self.store = SchemaCache("orders")
        made = RegistryOptions(stub.url + path, **options)  # type: ignore[arg-type]
        self.registry = Registry(made, api, self.store)  # type: ignore[arg-type]

    async def read(self, kind: str, value: str, data: bytes) -> object:
        key = SchemaKey(kind, value)
        await self.registry.learn(key)
        is_apicurio = kind in ("content", "global")
        frame = read_apicurio_frame if is_apicurio else read_confluent_frame
        return self.store.get(key, "here").read(frame(record(data), data), "here")


@pytest.fixture
async def asked(stub: StubRegistry) -> AsyncIterator[Asked]:
    one = Asked(stub)
    yield one
    await one.registry.close()


async def test_avro_with_references_is_read_by_its_id_and_by_its_guid(
    stub: StubRegistry, asked: Asked
) -> None:
    """The inner reference is named twice, as types in real schemas are."""
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
    name, document = await asked.read("id", str(number), b"\0" + number.to_bytes(4, "big") + raw)  # type: ignore[misc]
    assert name == "shop.Order"
    assert str(document["total"]) == "21474836.47"
    assert [str(one["price"]) for one in document["lines"]] == ["1.99"]
    guid = stub.guid(number)
    again = await asked.read("guid", guid, b"\1" + bytes.fromhex(guid.replace("-", "")) + raw)
    assert again == (name, document)


def proto(name: str, *messages: str, imports: tuple[str, ...] = ()) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name=name, package="shop", syntax="proto3", dependency=imports)
    for message in messages:
        made = file.message_type.add(name=message)
        made.field.add(name="order_id", number=1, type=9, label=1)
        made.nested_type.add(name="Inner").field.add(name="cents", number=1, type=3, label=1)
    return file


async def test_protobuf_is_read_by_message_indexes_with_its_imports(stub: StubRegistry, asked: Asked) -> None:
    stub.register("common", descriptor_text(proto("whatever", "Common")), "PROTOBUF")
    file = proto("o.proto", "First", "Second", imports=("shop/common.proto", "google/type/money.proto"))
    file.message_type[1].field.add(name="common", number=2, type=11, type_name=".shop.Common", label=1)
    file.message_type[1].field.add(name="total", number=3, type=11, type_name=".google.type.Money", label=1)
    references = [{"name": "shop/common.proto", "subject": "common", "version": 1}]
    number = stub.register("order", descriptor_text(file), "PROTOBUF", references)
    prefix = b"\0" + number.to_bytes(4, "big")
    first = await asked.read("id", str(number), prefix + b"\0" + b"\x0a\x01a")
    assert first == ("shop.First", {"order_id": "a"})
    second = (
        b"\x0a\x01b\x12\x03\x0a\x01c" + b"\x1a\x10\x0a\x03KES\x10\x95\x9a\xef\x3a\x18\x80\xca\xb5\xee\x01"
    )
    name, document = await asked.read("id", str(number), prefix + b"\x02\x02" + second)  # type: ignore[misc]
    assert name == "shop.Second"
    assert document["common"] == {"order_id": "c"}
    assert document["total"] == {"currency_code": "KES", "units": "123456789", "nanos": 500000000}
    inner = await asked.read(
        "id", str(number), prefix + b"\x04\x02\x00" + b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40"
    )
    assert inner == ("shop.Second.Inner", {"cents": str(2**62)})
    for bad in (b"\x02\x08", b"\x06\x02\x00\x00", b"\x81", b"\xff" * 11, b"\x05"):
        with pytest.raises(DecodeError):
            await asked.read("id", str(number), prefix + bad)


async def test_a_registry_that_does_not_know_serialized_is_named_as_the_reason(
    stub: StubRegistry, asked: Asked
) -> None:
    stub.knows_serialized = False
    number = stub.register("order", descriptor_text(proto("o.proto", "First")), "PROTOBUF")
    with pytest.raises(DecodeError, match=r"does not support format=serialized.*use a registry that knows"):
        await asked.read("id", str(number), b"\0" + number.to_bytes(4, "big") + b"\0")


async def test_a_missing_import_is_named(stub: StubRegistry, asked: Asked) -> None:
    file = proto("o.proto", "First", imports=("acme/away.proto",))
    number = stub.register("order", descriptor_text(file), "PROTOBUF")
    with pytest.raises(DecodeError, match=r"imports acme/away\.proto, which the registry did not return"):
        await asked.read("id", str(number), b"\0" + number.to_bytes(4, "big") + b"\0")


@pytest.mark.parametrize(
    "key", [SchemaKey("id", "7"), SchemaKey("guid", "00000000-0000-0000-0000-000000000001")]
)
async def test_a_schema_that_is_not_there_is_refused_for_a_while_and_then_asked_for_again(
    stub: StubRegistry, asked: Asked, key: SchemaKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setattr(learn, "REFUSED_FOR_S", 0.05)
    await asked.registry.learn(key)
    with pytest.raises(DecodeError, match=f"has no schema with {key}; .*parked redrive"):
        asked.store.get(key, "here")
    async with asyncio.timeout(5):
        while True:
            try:
                asked.store.get(key, "here")
            except SchemaNeeded:
                return
            except DecodeError:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503, 301, 400, 422, 501])
async def test_an_answer_that_says_nothing_about_the_schema_is_an_outage(
    stub: StubRegistry, asked: Asked, status: int
) -> None:
    stub.trouble = status
    with pytest.raises(RegistryUnavailable, match=f"{stub.url} answered {status}"):
        await asked.registry.learn(SchemaKey("id", "1"))
    with pytest.raises(SchemaNeeded):
        asked.store.get(SchemaKey("id", "1"), "here")


async def test_a_wrong_url_is_an_outage_and_parks_nothing(stub: StubRegistry) -> None:
    """Confluent's server says 404 with an error code of 404 to any path it does not know."""
    wrong = Asked(stub, path="/registry")
    with pytest.raises(
        RegistryUnavailable, match=r"answered 404, but not about a schema: check registry\.url"
    ):
        await wrong.registry.learn(SchemaKey("id", "1"))
    await wrong.registry.close()


@pytest.mark.parametrize("raw", [b"<html>log in</html>", b"[]", b'{"schema": 7}', b"\xff\xfe", b"null"])
async def test_a_page_instead_of_a_schema_is_an_outage(stub: StubRegistry, asked: Asked, raw: bytes) -> None:
    stub.register("order", json.dumps(PAID))
    stub.raw = raw
    with pytest.raises(RegistryUnavailable, match="no schema: check"):
        await asked.registry.learn(SchemaKey("id", "1"))


async def test_nobody_at_the_address_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = SchemaCache("orders")
    registry = Registry(RegistryOptions(f"http://127.0.0.1:{port}"), "confluent", store)
    with pytest.raises(RegistryUnavailable, match="cannot be reached"):
        await registry.learn(SchemaKey("id", "1"))
    await registry.close()


async def test_a_registry_that_never_answers_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        registry = Registry(RegistryOptions(url, timeout_s=0.1), "confluent", SchemaCache("orders"))
        with pytest.raises(RegistryUnavailable, match=r"did not answer in 0\.1 s"):
            await registry.learn(SchemaKey("id", "1"))
        await registry.close()


async def test_an_answer_without_end_is_not_read_to_its_end(stub: StubRegistry, asked: Asked) -> None:
    stub.register("order", json.dumps(PAID))
    stub.raw = b" " * (MAX_ANSWER_BYTES + 1)
    await asked.registry.learn(SchemaKey("id", "1"))
    with pytest.raises(DecodeError, match="its answer is larger than"):
        asked.store.get(SchemaKey("id", "1"), "here")


async def test_references_are_bounded_in_depth_and_number_and_may_go_in_circles(
    stub: StubRegistry, asked: Asked
) -> None:
    for number in range(1, 40):
        after = [{"name": f"n{number + 1}", "subject": f"s{number + 1}", "version": 1}]
        stub.register(
            f"s{number}", json.dumps({"type": "fixed", "name": f"n{number}", "size": 1}), references=after
        )
    with pytest.raises(DecodeError, match="nested more than 20 deep"):
        await asked.read("id", "1", b"\0\0\0\0\1")
    wide = [{"name": f"w{number}", "subject": f"w{number}", "version": 1} for number in range(120)]
    for number in range(120):
        stub.register(f"w{number}", json.dumps({"type": "fixed", "name": f"w{number}", "size": 1}))
    root = stub.register("wide", json.dumps(PAID), references=wide)
    with pytest.raises(DecodeError, match="refers to more than 100 others"):
        await asked.read("id", str(root), b"\0" + root.to_bytes(4, "big"))
    own = [{"name": "shop.Paid", "subject": "own", "version": 1}]
    circle = stub.register("own", json.dumps(PAID), references=own)
    frame = b"\0" + circle.to_bytes(4, "big") + b"\x02a"
    assert await asked.read("id", str(circle), frame) == ("shop.Paid", {"id": "a"})


@pytest.mark.parametrize("text", ["{", "7", '{"type": "record"}', '{"type": "record", "name": "R"}',
                                  '"nothing.like.it"', '["null", 7]', "[" * 5000])  # fmt: skip
async def test_a_schema_that_is_none_is_a_fault_of_the_record(
    stub: StubRegistry, asked: Asked, text: str
) -> None:
    number = stub.register("order", text)
    with pytest.raises(DecodeError, match=f"schema with id {number}"):
        await asked.read("id", str(number), b"\0" + number.to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"username": "key", "password": "s3cret"}, "Basic a2V5OnMzY3JldA=="),
        ({"token": "s3cret"}, "Bearer s3cret"),
        ({}, None),
    ],
)
async def test_credentials_are_sent_and_not_shown(
    stub: StubRegistry, options: dict[str, str], sent: str
) -> None:
    one = Asked(stub, **options)  # type: ignore[arg-type]
    await one.registry.learn(SchemaKey("id", "1"))
    assert stub.authorizations == {sent}
    stub.trouble = 401
    with pytest.raises(RegistryUnavailable) as caught:
        await one.registry.learn(SchemaKey("id", "1"))
    assert "s3cret" not in str(caught.value) + repr(RegistryOptions(stub.url, **options))
    await one.registry.close()


async def test_what_is_known_is_not_asked_for_again(stub: StubRegistry, asked: Asked) -> None:
    number = stub.register("order", json.dumps(PAID))
    key = SchemaKey("id", str(number))
    await Registries({"orders": asked.registry}).learn(SchemaNeeded("orders", key))
    for _ in range(3):
        asked.store.get(key, "here")
    assert stub.asked == {"/schemas/ids/1": 1}


def test_the_store_is_bounded_and_forgets_the_oldest() -> None:
    store = SchemaCache("orders", limit=2)
    keys = [SchemaKey("id", str(number)) for number in range(3)]
    for key in keys:
        store.put(key, learn.Refusal("c", "r"))
    with pytest.raises(SchemaNeeded):
        store.get(keys[0], "here")
    for key in keys[1:]:
        with pytest.raises(DecodeError):
            store.get(key, "here")


async def test_apicurios_own_api_is_asked_by_content_and_by_global_id(stub: StubRegistry) -> None:
    own = Asked(stub, api="apicurio", path="/apis/registry/v3")
    inner = {"type": "enum", "name": "shop.Kind", "symbols": ["CASH", "CARD"]}
    outer = {"type": "record", "name": "shop.Paid", "fields": [{"name": "kind", "type": "shop.Kind"}]}
    reference = {"groupId": None, "artifactId": "kind", "version": "1", "name": "shop.Kind"}
    stub.contents["/ids/contentIds/5"] = ("AVRO", json.dumps(outer), [reference])
    stub.contents["/ids/globalIds/6"] = ("", json.dumps(outer), [reference])
    stub.contents["/groups/default/artifacts/kind/versions/1"] = ("AVRO", json.dumps(inner), [])
    stub.contents["/ids/contentIds/7"] = ("JSON", json.dumps({"title": "Seen", "type": "object"}), [])
    stub.contents["/ids/contentIds/9"] = ("PROTOBUF", 'syntax = "proto3";', [])
    assert await own.read("content", "5", b"\0\0\0\0\5\2") == ("shop.Paid", {"kind": "CARD"})
    assert await own.read("global", "6", b"\0" + bytes(7) + b"\6\0") == ("shop.Paid", {"kind": "CASH"})
    assert await own.read("content", "7", b'\0\0\0\0\7{"a": 1.10}') == ("Seen", {"a": 1.1})
    with pytest.raises(DecodeError, match="has no schema with content id 8"):
        await own.read("content", "8", b"\0\0\0\0\x08")
    with pytest.raises(DecodeError, match=r"the registry returned \.proto text"):
        await own.read("content", "9", b"\0\0\0\0\x09\0")
    await own.registry.close()
