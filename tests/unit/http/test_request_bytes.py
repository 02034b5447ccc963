"""The bytes of a request: no value of a header ends its line, and the body follows as it is."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.url import parse_url
from bridge.http.egress_policy import EgressPolicy
from bridge.http.head import Head
from bridge.http.lean import LeanTransport
from bridge.model import Request

URL = parse_url("http://127.0.0.1:9/hooks/100%25")
_values = st.binary(max_size=20)


@given(st.lists(_values, max_size=4), st.binary(max_size=40), st.sampled_from(["POST", "GET"]))
def test_a_request_has_one_line_per_header_or_is_not_written(
    values: list[bytes], body: bytes, method: str
) -> None:
    head = Head(method, URL)
    headers = tuple((b"x-%d%%b" % number, value) for number, value in enumerate(values))
    if any(byte in value for value in values for byte in b"\r\n\0"):
        with pytest.raises(ValueError, match="line break or a NUL"):
            head.write(headers, body)
        return
    lines, _, sent = head.write(headers, body).partition(b"\r\n\r\n")
    first, host, agent, *others = lines.split(b"\r\n")
    assert first == method.encode() + b" /hooks/100%25 HTTP/1.1"
    assert host == b"host: 127.0.0.1:9"
    assert agent.startswith(b"user-agent: ")
    length = [b"content-length: %d" % len(body)] if body or method == "POST" else []
    assert others == [b"%b: %b" % header for header in headers] + length
    assert sent == body


@pytest.mark.parametrize("broken", [b"\n", b"a\r", b"\0", b"a\r\nx-other: 1"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_value_that_would_break_the_head_is_refused_also_after_good_ones(broken: bytes, place: int) -> None:
    head, good = Head("POST", URL), (b"1", b"2", b"3")
    names = (b"a", b"b", b"c")
    head.write(tuple(zip(names, good, strict=True)), b"\n\0")
    values = [*good]
    values[place] = broken
    with pytest.raises(ValueError, match=f"header {names[place].decode()}"):
        head.write(tuple(zip(names, values, strict=True)), b"")


def test_requests_that_change_between_urls_and_methods_go_where_they_should() -> None:
    async def sent() -> list[bytes]:
        lines: list[bytes] = []
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                lines.append(line.strip())
                while (await reader.readline()).strip():
                    pass
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            writer.close()
            await writer.wait_closed()
            ended.set()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport = LeanTransport(EgressPolicy([ip_network("127.0.0.0/8")]), max_connections=1)
        first, second = (parse_url(f"http://127.0.0.1:{port}/{name}") for name in "ab")
        alike = parse_url(f"http://127.0.0.1:{port}/a")
        for method, url in [
            ("GET", first),
            ("GET", second),
            ("GET", first),
            ("DELETE", first),
            ("GET", alike),
        ]:
            await transport.send(Request(method, url, (), b""), 30)
        await transport.close()
        await ended.wait()
        server.close()
        return lines

    assert asyncio.run(sent()) == [
        b"GET /a HTTP/1.1", b"GET /b HTTP/1.1", b"GET /a HTTP/1.1", b"DELETE /a HTTP/1.1", b"GET /a HTTP/1.1",
    ]  # fmt: skip
