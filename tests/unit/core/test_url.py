"""URLs as people write them, and what is refused instead of guessed."""

from __future__ import annotations

import pytest

from bridge.core.url import is_in_clear, parse_proxy, parse_url
from bridge.model import Url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://crm.example.com/hooks/a", Url("https", "crm.example.com", 443, "/hooks/a")),
        ("HTTP://CRM.Example.COM", Url("http", "crm.example.com", 80, "/")),
        ("http://h:8080/a?b=c&d=e%20f", Url("http", "h", 8080, "/a?b=c&d=e%20f")),
        ("http://h?x=1", Url("http", "h", 80, "/?x=1")),
        ("http://h:/", Url("http", "h", 80, "/")),
        ("http://[2001:DB8:0::1]:81/x", Url("http", "2001:db8::1", 81, "/x")),
        ("https://h/ä?ö=ü", Url("https", "h", 443, "/%C3%A4?%C3%B6=%C3%BC")),
        ("https://XN--bcher-kva.example/", Url("https", "xn--bcher-kva.example", 443, "/")),
        (
            "http://my_service.my-ns.svc.cluster.local.:80/",
            Url("http", "my_service.my-ns.svc.cluster.local.", 80, "/"),
        ),
        ("http://h/100%/%zz/%41", Url("http", "h", 80, "/100%25/%25zz/%41")),
        ('http://h/"<>`{}|^', Url("http", "h", 80, "/%22%3C%3E%60%7B%7D%7C%5E")),
        ("http://h/a..b/.c/...?x=/../", Url("http", "h", 80, "/a..b/.c/...?x=/../")),
        ("http://2130706433/", Url("http", "127.0.0.1", 80, "/")),
        ("http://0x7F.1:81/", Url("http", "127.0.0.1", 81, "/")),
        ("http://1.2.3.4./", Url("http", "1.2.3.4", 80, "/")),
        ("http://1.2.3.4.example./", Url("http", "1.2.3.4.example.", 80, "/")),
    ],
)
def test_a_url_is_parsed_to_scheme_host_port_and_target(text: str, url: Url) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "https://"),
        ("crm.example.com/hooks", "https://"),
        ("//h/secret", "https://"),
        ("http:/h/secret", "https://"),
        ("ftp://h/secret", "'ftp'"),
        ("file:///secret", "'file'"),
        ("http:///secret", "no host"),
        ("http://:80/secret", "no host"),
        ("http://user:pass@h/secret", "credentials"),
        ("http://h@evil/secret", "credentials"),
        ("http://h/secret#x", "fragment"),
        ("http://h#@evil/secret", "fragment"),
        ("http://h/secret\n", "control character"),
        ("http://h/sec ret", "space"),
        ("http://h\t/secret", "control character"),
        ("http://h\\@evil/secret", "backslash"),
        ("http://h/secret\x00", "control character"),
        ("http://h/secret\x85", "control character"),
        ("http://h/secret\ud800", "control character"),
        ("http://h:0/secret", "port 0"),
        ("http://h:65536/secret", "port 65536"),
        ("http://h:99999999999/secret", "port"),
        ("http://h:8a/secret", "ambiguous"),
        ("http://::1/secret", "ambiguous"),
        ("http://[::1/secret", "ambiguous"),
        ("http://[::1]x/secret", "ambiguous"),
        ("http://[1.2.3.4]/secret", "IPv6"),
        ("http://[fe80::1%eth0]/secret", "zone"),
        ("http://a..b/secret", "domain name"),
        ("http://-a/secret", "domain name"),
        ("http://a%2eb/secret", "domain name"),
        ("http://1.2.3.4.5/secret", "not an IPv4 address"),
        ("http://1.2.3.08/secret", "not an IPv4 address"),
        ("http://1.2.3.256/secret", "not an IPv4 address"),
        ("http://" + "a" * 64 + "/secret", "domain name"),
        ("http://" + "a." * 130 + "a/secret", "domain name"),
        ("http://\u202eevil/secret", "outside ASCII"),
        ("https://bücher.example/secret", "outside ASCII; write its xn-- form"),
        ("https://\u212aelvin.example/secret", "outside ASCII"),  # in lower case an ASCII k
        ("http://h/secret/../x", '".."'),
        ("http://h/secret/%2E%2e", '".."'),
        ("http://h/secret/./x", '"."'),
    ],
)
def test_a_url_that_two_parsers_could_read_differently_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="the URL") as caught:
        parse_url(text)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "url", "authorization"),
    [
        ("http://proxy.example.com", Url("http", "proxy.example.com", 80, "/"), None),
        ("https://proxy:3129/", Url("https", "proxy", 3129, "/"), None),
        ("http://user:word@proxy:3128", Url("http", "proxy", 3128, "/"), b"Basic dXNlcjp3b3Jk"),
        ("http://us%65r:w%6frd@[::1]:3128", Url("http", "::1", 3128, "/"), b"Basic dXNlcjp3b3Jk"),
        ("http://user@127.1:3128", Url("http", "127.0.0.1", 3128, "/"), b"Basic dXNlcjo="),
    ],
)
def test_the_url_of_a_proxy_may_contain_its_login(text: str, url: Url, authorization: bytes | None) -> None:
    assert parse_proxy(text) == (url, authorization)


@pytest.mark.parametrize(
    "text",
    [
        "secret:secret@proxy:3128",
        "socks5://user:secret@proxy:1080",
        "http://user:secret@",
        "http://user:secret@a..b:3128",
        "http://user:secret@proxy:0",
        "http://user:sec#ret@proxy:3128",
        "http://user:sec ret@proxy:3128",
        "http://user:sec\nret@proxy:3128",
        "http://user:secret@proxy:3128/secret",
        "http://user:secret@proxy:3128?secret",
        "http://user:secret@proxy:3128#secret",
    ],
)
def test_the_url_of_a_proxy_that_is_refused_is_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="the URL") as caught:
        parse_proxy(text)
    assert "sec" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "in_clear"),
    [
        ("https://crm.bank/", False),
        ("http://crm.bank/", True),
        ("http://localhost:8080/", False),
        ("http://127.0.0.7/", False),
        ("http://[::1]/", False),
        ("http://localhost.bank/", True),
        ("http://127.0.0.1.bank/", True),
        ("http://10.0.0.1/", True),
    ],
)
def test_only_this_machine_is_reached_without_tls_and_without_a_network(text: str, in_clear: bool) -> None:
    assert is_in_clear(parse_url(text)) == in_clear
