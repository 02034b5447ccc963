"""Which requests the admin port accepts: known hosts, and no changes from pages of other sites."""

from __future__ import annotations

import pytest

from bridge.core.web_access import WebAccess

ACCESS = WebAccess(["hookferry.default.svc", "Pod-7."], "admin.hosts")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8080",
        "127.0.0.1",
        "[::1]:8080",
        "[::1]",
        "10.244.1.17:8080",  # the kubelet and Prometheus use the address of the pod
        "[fd00::17]:8080",
        "localhost:8080",
        "LOCALHOST",
        "localhost.",
        "hookferry.default.svc:8080",
        "hookferry.default.svc.",
        "pod-7",
        None,
    ],
)
def test_an_address_and_a_known_name_are_accepted(host: str | None) -> None:
    assert ACCESS.check_host(host) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8080",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:8080",
        "127.0.0.1.nip.io",
        "hookferry.default.svc.evil.example",
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::1].evil.example",
        "localhost:8080:evil",
        "localhost@evil.example",
        "localhost, evil.example",
        "",
        ":8080",
    ],
)
def test_any_other_host_is_refused_with_the_setting_that_allows_it(host: str) -> None:
    """A web page can have any name resolve to this port, and its requests then name that host."""
    refusal = ACCESS.check_host(host)
    assert refusal is not None
    assert refusal.status == 421
    assert "admin.hosts" in refusal.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
@pytest.mark.parametrize(
    ("origin", "fetch_site", "accepted"),
    [
        (None, None, True),  # curl, a script, an old browser that changes nothing by GET
        ("http://127.0.0.1:8080", None, True),
        ("http://127.0.0.1:8080", "same-origin", True),
        (None, "none", True),  # typed by the user
        ("https://evil.example", None, False),
        ("http://127.0.0.1:9090", None, False),
        ("null", None, False),
        ("", None, False),
        ("http://[", None, False),
        ("https://evil.example", "cross-site", False),
        (None, "cross-site", False),
        (None, "same-site", False),
        ("http://127.0.0.1:8080", "cross-site", False),
    ],
)
def test_a_change_is_refused_if_a_page_of_another_site_asks_for_it(
    method: str, origin: str | None, fetch_site: str | None, accepted: bool
) -> None:
    refusal = ACCESS.check_change(method, "127.0.0.1:8080", origin, fetch_site)
    assert (refusal is None) is accepted
    assert refusal is None or refusal.status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_is_accepted_from_everywhere(method: str) -> None:
    """The page that sent the request cannot read the answer: no header allows it to."""
    assert ACCESS.check_change(method, "127.0.0.1", "https://evil.example", "cross-site") is None
