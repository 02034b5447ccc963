"""URLs, headers and event patterns: which are accepted, and why others are refused."""

import pytest
from pydantic_core import PydanticCustomError

from bridge.core.url import parse_url
from bridge.settings.models import values


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("", "is empty"),
        ("/hooks", "is not an http or https URL"),
        ("ftp://a.example/", "is not an http or https URL"),
        ("https:///hooks", "has no valid host"),
        ("https://", "has no valid host"),
        ("https://a b/", "contains spaces"),
        ("https://ä.example/", "outside ASCII"),
        ("https://a.example/\r\nX: y", "contains spaces"),
        ("https://a.example:99999/", "is not a URL"),
        ("https://a.example:0/", "has port 0"),
        ("https://[::1/", "is not a URL"),
        ("https://user:pass@a.example/", "contains a user name or password"),
        ("https://token@a.example/", "contains a user name or password"),
        ("https://a.example/#x", "has a fragment"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url, cause):
    with pytest.raises(PydanticCustomError) as caught:
        values.endpoint_url(url)
    assert cause in caught.value.message()


def test_the_remedy_for_a_url_with_a_login_is_a_header():
    with pytest.raises(PydanticCustomError, match="Authorization"):
        values.endpoint_url("https://user:pass@a.example/")


def test_a_url_is_split_into_its_parts():
    assert parse_url("https://a.example/x?y=1&z") == ("https", "a.example", 443, "/x?y=1&z")
    assert parse_url("http://[::1]:8080") == ("http", "::1", 8080, "/")


@pytest.mark.parametrize(
    ("url", "allowed", "plain"),
    [
        ("https://a.example/", [], False),
        ("http://a.example/", [], True),
        ("http://localhost:1/", [], False),
        ("http://127.0.0.2/", [], False),
        ("http://[::1]/", [], False),
        ("http://10.1.2.3/", [], True),
        ("http://10.1.2.3/", ["10.1.0.0/16"], False),
        ("http://10.2.2.3/", ["10.1.0.0/16", "nonsense", "::/0"], True),
    ],
)
def test_plain_http_is_accepted_for_loopback_and_allowed_networks_only(url, allowed, plain):
    assert values.is_plain_http(url, values.allowed_networks(allowed)) is plain


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "Webhook-Id"])
def test_a_header_that_users_must_not_set_is_refused(name):
    with pytest.raises(PydanticCustomError, match="remove it"):
        values.header_name(name)


@pytest.mark.parametrize("name", ["", "a b", "a:", "ä", "a\r\n"])
def test_a_header_name_that_is_not_a_token_is_refused(name):
    with pytest.raises(PydanticCustomError, match="is not a header name"):
        values.header_name(name)


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "\x00", "ä", " a", "a "])
def test_a_header_value_that_would_break_the_request_is_refused(value):
    with pytest.raises(PydanticCustomError):
        values.header_value(value)


@pytest.mark.parametrize("pattern", ["*", "Loan*", "!Loan*", "a.b.c", "[ab]*", "[!a]", "[]]", "x[[]y"])
def test_an_fnmatch_pattern_is_accepted(pattern):
    assert values.event_pattern(pattern) == pattern


@pytest.mark.parametrize("pattern", ["", "!", "!!a", " a", "a ", "a\n", "[a", "[", "[!", "[]", "x[a]y[b"])
def test_a_malformed_pattern_is_refused(pattern):
    with pytest.raises(PydanticCustomError):
        values.event_pattern(pattern)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("4/1s", (4, 1.0)),
        ("60/30s", (60, 30.0)),
        ("100/1h", (100, 3600.0)),
        ("5/2m", (5, 120.0)),
        ("9/7d", (9, 604_800.0)),
    ],
)
def test_a_rate_is_split_into_requests_and_seconds(text, window):
    assert values.parse_rate(values.rate(text)) == window


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "is not a rate"),
        ("4", "is not a rate"),
        ("4/s", "is not a rate"),
        ("4/1", "is not a rate"),
        ("4 / 1s", "is not a rate"),
        ("4/1.5s", "is not a rate"),
        ("-4/1s", "is not a rate"),
        ("4/1w", "is not a rate"),
        ("4/1s\n", "is not a rate"),
        ("\u0664/1s", "is not a rate"),
        ("0/1s", "has a count outside"),
        ("100001/1s", "has a count outside"),
        ("4/0s", "has a time outside"),
        ("4/8d", "has a time outside"),
    ],
)
def test_text_that_is_not_a_rate_is_refused(text, cause):
    with pytest.raises(PydanticCustomError) as caught:
        values.rate(text)
    assert cause in caught.value.message()


@pytest.mark.parametrize(
    "text", ["latest", "earliest", "2026-06-29T08:15:30Z", "2026-06-29t08:15:30.123456+02:00"]
)
def test_an_endpoint_can_start_at_a_word_or_an_instant(text):
    assert values.start_place(text) == text


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("latests", 'did you mean "latest"?'),
        ("now", "write latest, earliest, or 2026-"),
        ("2026-06-29", "write latest"),
        ("2026-06-29T08:15:30", "write latest"),
        ("2026-06-31T08:15:30Z", "write latest"),
        ("1969-12-31T23:59:59Z", "write latest"),
        ("2026-06-29T08:15:30Z ", "write latest"),
        ("", "write latest"),
    ],
)
def test_any_other_start_is_refused(text, remedy):
    with pytest.raises(PydanticCustomError) as caught:
        values.start_place(text)
    assert "is neither latest nor earliest nor an instant" in caught.value.message()
    assert remedy in caught.value.message()


@pytest.mark.parametrize(
    ("text", "unix_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-06-29T08:15:30.123Z", 1_782_720_930_123),
        ("2026-06-29T10:15:30.1239+02:00", 1_782_720_930_123),
    ],
)
def test_an_instant_becomes_unix_milliseconds(text, unix_ms):
    assert values.instant_ms(text) == unix_ms


@pytest.mark.parametrize(
    "text", ["https://a.example/x/../y", "https://a.example/a b", "https://a.example/\\b"]
)
def test_a_url_that_the_transport_would_refuse_is_refused_without_showing_its_path(text):
    """The check uses the parser of the transport: a URL that passes cannot fail later at a delivery."""
    with pytest.raises(PydanticCustomError) as caught:
        values.endpoint_url(text)
    assert text.removeprefix("https://a.example/") not in caught.value.message()


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_an_invalid_port_of_a_broker_is_refused(given, port):
    (line,) = given("localhost:9092", f"localhost:{port}")
    assert line.endswith("ends in a port that is not between 1 and 65535; correct the port")
    assert given("localhost:9092", "localhost:65535") == []


@pytest.mark.parametrize("wrong", ["[a]", "{a: b}"])
def test_the_remedy_for_a_list_instead_of_text_is_not_to_quote_it(given, wrong):
    (line,) = given("kafka:\n", f"group: {wrong}\nkafka:\n")
    assert "group: is not text; set one value, without brackets" in line
