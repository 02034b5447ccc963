"""Where requests may go: what a settings file writes out is checked before the first dial."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from bridge.settings import load
from tests.support.settings_example import VALID

URL = "    url: https://crm.example.com/hooks\n"
SOURCES = "    sources: [fineract]\n"


def url(text: str, more: str = "") -> tuple[str, str]:
    return URL, f"    url: {text}\n    allow_http: true\n{more}"


def egress(text: str) -> tuple[str, str]:
    return "kafka:\n", f"egress: {text}\nkafka:\n"


@pytest.mark.parametrize(
    ("text", "rule", "network"),
    [
        ("http://127.0.0.1:8080/x", "loopback", "127.0.0.1/32"),
        ("https://2852039166/x", "link-local, which includes cloud metadata services", "169.254.169.254/32"),
        ("https://0xa9.254.0251.254./x", "link-local, which includes", "169.254.169.254/32"),
        ("https://[::ffff:10.0.0.1]/x", "it leads to 10.0.0.1: a private network", "::ffff:a00:1/128"),
        ("'https://10.1/loans/{{ entity }}'", "a private network", "10.0.0.1/32"),
    ],
)
def test_a_url_with_an_internal_address_is_a_mistake_with_the_setting_that_allows_it(
    given, text, rule, network
):
    network = str(ip_network(network))  # Python 3.14 writes ::ffff:a00:1 as ::ffff:10.0.0.1
    (line,) = given(*url(text))
    assert line.startswith("bridge.yaml:8:10: endpoints.crm.url: has the address")
    assert rule in line
    assert f"if it is intended, add {network} or its network to egress.allow" in line
    assert given(*url(text), *egress(f'{{allow: ["{network}"]}}')) == []


@pytest.mark.parametrize(
    "text", ["https://1.1.1.1/x", "https://crm.internal/x", "https://[2606:4700::1111]/x"]
)
def test_a_public_address_and_a_name_are_checked_when_they_are_dialed(given, text):
    assert given(*url(text)) == []


@pytest.mark.parametrize("proxy", ["http://u:hunter2@10.0.0.5:3128", "https://0xa000005:3128"])
def test_a_proxy_with_an_internal_address_is_a_mistake_with_its_own_setting(given, proxy):
    swap = SOURCES, f"{SOURCES}    proxy: {proxy}\n"
    (line,) = given(*swap)
    assert "endpoints.crm.proxy: has the address 10.0.0.5" in line
    assert "add 10.0.0.5/32 or its network to egress.proxies" in line
    assert "hunter2" not in line
    for setting in ("proxies", "allow"):
        assert given(*swap, *egress(f"{{{setting}: [10.0.0.0/24]}}")) == []


@pytest.mark.parametrize(
    ("proxy", "cause"),
    [
        ("proxy:3128", "is not an http or https URL"),
        ("socks5://u:hunter2@proxy:1080", "is not an http or https URL"),
        ("http://u:hunter2@proxy:3128/x", "has a path or a query; remove it"),
        ("http://u:hunter2@proxy:3128?x", "has a path or a query; remove it"),
        ("http://u:hunter2@1.2.3.4.5:3128", "write the address as four decimal numbers"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_mistake_that_does_not_show_its_password(given, proxy, cause):
    (line,) = given(SOURCES, f"{SOURCES}    proxy: '{proxy}'\n")
    assert "endpoints.crm.proxy: " in line
    assert cause in line
    assert "hunter2" not in line


def test_a_port_outside_the_listed_ones_is_a_mistake(given):
    (line,) = given(*url("https://crm.example.com:8443/x"), *egress("{ports: [443]}"))
    assert "endpoints.crm.url: has the port 8443, which is not in egress.ports; add 8443 to it" in line
    assert given(*url("https://crm.example.com:8443/x"), *egress("{ports: [443, 8443]}")) == []
    assert given(*url("https://crm.example.com/x"), *egress("{ports: [443]}")) == []
    assert given(*url("https://crm.example.com:8443/x")) == []


@pytest.mark.parametrize("ports", ["[0]", "[65536]", "[https]", "[true]"])
def test_a_port_that_is_none_is_a_mistake(given, ports):
    (line,) = given(*egress(f"{{ports: {ports}}}"))
    assert "egress.ports[0]" in line


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("10.0.0.300", "is not an IP address"),
        ("eth0", "is not an IP address"),
        ("0.0.0.0", "is not the address of one machine"),
        ("'::1'", "is an IPv6 address, and url is an IPv4 address"),
    ],
)
def test_a_source_address_that_cannot_be_used_is_a_mistake(given, source, cause):
    (line,) = given(*url("https://1.1.1.1/x", f"    source_address: {source}\n"))
    assert "endpoints.crm.source_address" in line
    assert cause in line


def test_the_family_of_the_source_address_is_that_of_the_proxy_if_there_is_one(given):
    more = "    proxy: http://1.1.1.1:3128\n    source_address: 10.0.0.7\n"
    assert given(*url("https://[2606:4700::1111]/x", more)) == []


@pytest.mark.parametrize("hosts", ["['http://a']", "['a:8080']", "['']", "['a b']"])
def test_a_host_of_the_admin_port_is_a_name_alone(given, hosts):
    (line,) = given("kafka:\n", f"admin: {{hosts: {hosts}}}\nkafka:\n")
    assert "admin.hosts[0]" in line
    assert "write a name without scheme and port" in line


def test_the_certificate_files_of_the_admin_port_must_be_readable(given):
    lines = given("kafka:\n", "admin: {tls: {cert_file: no.pem, key_file: avro}}\nkafka:\n")
    assert len(lines) == 2
    assert "admin.tls.cert_file" in lines[0]
    assert "there is no such file" in lines[0]
    assert "admin.tls.key_file" in lines[1]
    assert "is not a file" in lines[1]


def test_the_certificate_files_of_the_admin_port_are_relative_to_the_settings_file(write, folder):
    for name in ("tls.crt", "tls.key"):
        (folder / name).write_text("")
    tls = load(write("admin: {tls: {cert_file: tls.crt, key_file: tls.key}}\n" + VALID), {}).admin.tls
    assert tls is not None
    assert (tls.cert_file, tls.key_file) == (folder / "tls.crt", folder / "tls.key")


@pytest.mark.parametrize(
    ("env", "file", "host"),
    [
        ({}, "", "127.0.0.1"),
        ({"HOOKFERRY_IN_CONTAINER": "1"}, "", "0.0.0.0"),
        ({"HOOKFERRY_IN_CONTAINER": ""}, "", "127.0.0.1"),
        ({"HOOKFERRY_IN_CONTAINER": "1"}, "admin: {port: 9}\n", "0.0.0.0"),
        ({"HOOKFERRY_IN_CONTAINER": "1"}, "admin: {host: '::'}\n", "::"),
        ({"HOOKFERRY_IN_CONTAINER": "1", "HOOKFERRY_ADMIN__HOST": "10.0.0.1"}, "", "10.0.0.1"),
    ],
)
def test_the_admin_port_listens_on_loopback_outside_a_container_and_where_it_is_told_to(
    write, env, file, host
):
    path: Path = write(file + VALID)
    assert load(path, env).admin.host == host
