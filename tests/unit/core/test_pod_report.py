"""The report of a process: its record, its bound, and when its process counts as dead."""

from __future__ import annotations

import orjson
import pytest

from bridge.core.instant import precise_instant
from bridge.core.pod_report import (
    DamagedReportError,
    EndpointReport,
    PodReport,
    PodReports,
    key_of,
    name_of,
    read_report,
)

NOW = 1_800_000_000.5
CRM = EndpointReport(breaker="open", concurrency=8, slow="busy", in_flight=2, waiting=9, oldest_ms=17)


def report(**changes: object) -> PodReport:
    """Return the report of a process that works."""
    fields = PodReport(
        "bridge-0",
        "1.0",
        "host",
        precise_instant(int((NOW - 60) * 1000)),
        precise_instant(int(NOW * 1000)),
        True,
        "assigned",
        "assigned: 2 partitions",
    )
    return fields._replace(partitions={"orders": (0, 3)}, endpoints={"crm": CRM})._replace(**changes)


def test_a_report_is_read_as_it_was_written() -> None:
    written = report(config_hash="ab12", config_error="endpoints.crm.url: must be https")
    assert read_report("bridge-0", written.to_bytes()) == written
    assert name_of(key_of("bridge-0")) == "bridge-0"


@pytest.mark.parametrize("key", [None, b"", b"pod/", b"job/1", b"crm"])
def test_other_keys_are_no_reports(key: bytes | None) -> None:
    assert name_of(key) is None


@pytest.mark.parametrize(
    "value", [b"", b"null", b"[]", b"{}", b'{"at": "yesterday"}', b'{"endpoints": {"crm": 1}}']
)
def test_damaged_values_are_refused(value: bytes) -> None:
    with pytest.raises(DamagedReportError):
        read_report("bridge-0", value)


def test_a_newer_release_may_add_fields() -> None:
    document = orjson.loads(report().to_bytes())
    document["new"] = document["endpoints"]["crm"]["newer"] = 1
    assert read_report("bridge-0", orjson.dumps(document)) == report()


def test_a_process_without_a_report_for_three_minutes_is_gone() -> None:
    reports = PodReports()
    reports.put("bridge-0", report())
    assert reports.alive(NOW + 179) == [report()]
    assert reports.alive(NOW + 181) == []
    reports.put("bridge-0", None)
    assert reports.alive(NOW) == []


def test_a_record_fits_the_topic_whatever_it_reports_and_keeps_the_endpoints_in_trouble() -> None:
    fine = {f"endpoint-{number}": EndpointReport(concurrency=8) for number in range(2000)}
    partitions = {"t" * 249: tuple(range(5000)), "orders": tuple(range(5000))}
    large = report(endpoints={**fine, "crm": CRM}, partitions=partitions, words="w" * 100_000)
    value = large.to_bytes()
    assert len(value) <= 32 * 1024
    kept = read_report("bridge-0", value)
    assert kept.cut
    assert kept.endpoints["crm"] == CRM
    assert kept.partitions


def test_counts_that_always_change_are_no_reason_for_a_report() -> None:
    busier = report(endpoints={"crm": CRM._replace(in_flight=7, waiting=900, oldest_ms=5, unread=3)})
    assert busier.steady == report().steady
    for change in ({"breaker": "closed"}, {"on": False}, {"slow": ""}, {"held": 1}):
        assert report(endpoints={"crm": CRM._replace(**change)}).steady != report().steady
    assert report(partitions={}).steady != report().steady
    assert report(config_error="bad").steady != report().steady
