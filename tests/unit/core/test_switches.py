"""Switches: how a record of the control topic is read, and which changes are reported."""

from __future__ import annotations

import pytest

from bridge.core.switches import (
    ALL,
    ON,
    DamagedSwitchError,
    EventTypes,
    Switch,
    Switches,
    key_of,
    off_for,
    read_switch,
    subject_of,
)

OFF = Switch(False, "2026-06-29T08:15:30Z", "bridge at a", "status 410")


def test_a_switch_is_read_back_from_its_record() -> None:
    assert read_switch(OFF.to_bytes()) == OFF
    assert subject_of(key_of("crm")) == "crm"


@pytest.mark.parametrize(
    "types",
    [EventTypes("Loan*"), EventTypes("Loan*", "crm"), EventTypes("a/b/[!c]?", "crm"), EventTypes("*")],
)
def test_event_types_are_read_back_from_their_key(types: EventTypes) -> None:
    assert subject_of(key_of(types)) == types
    assert not key_of(types).startswith(b"endpoint/"), "older releases read only these keys, and skip others"


@pytest.mark.parametrize(
    "key",
    [b"events/", b"events//x", b"events/crm", b"events/crm/", b"events/crm/a\nb", b"events/*/" + b"x" * 500],
)
def test_a_key_that_names_no_event_types_is_skipped(key: bytes) -> None:
    """Other programs may write to the topic, and a pattern is shown and compiled."""
    assert subject_of(key) is None


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b"null", b'{"state": true}', b'{"state": "OFF"}', b"\xff"]
)
def test_a_damaged_record_is_refused(value: bytes) -> None:
    with pytest.raises(DamagedSwitchError):
        read_switch(value)


def test_a_tombstone_means_never_switched() -> None:
    assert read_switch(None) == ON


@pytest.mark.parametrize("key", [None, b"", b"type/Loan", b"endpoint", b"\xff"])
def test_a_key_with_another_prefix_has_no_subject(key: bytes | None) -> None:
    assert subject_of(key) is None


def test_texts_from_the_topic_become_one_short_printable_line() -> None:
    """Other programs may write to the topic, and terminals show the reason."""
    read = read_switch(Switch(False, "now\n", "\x1b[31mme", "x" * 10_000 + "\r\n").to_bytes())
    assert (read.since, read.by, len(read.reason)) == ("now ", " [31mme", 500)
    assert read_switch(b'{"state": "off", "by": 7, "reason": null}') == Switch(False)


@pytest.mark.parametrize(
    ("since", "unix_s"),
    [("2026-06-29T08:15:30Z", 1_782_720_930.0), ("2026-06-29T10:15:30+02:00", 1_782_720_930.0),
     ("2026-06-29T08:15:30", 1_782_720_930.0), ("", 0.0), ("yesterday", 0.0)],
)  # fmt: skip
def test_since_that_is_no_instant_is_the_epoch(since: str, unix_s: float) -> None:
    assert Switch(True, since).since_s == unix_s


def test_a_change_is_reported_once_however_many_records_repeat_it() -> None:
    changes: list[tuple[str, Switch]] = []
    switches = Switches[str](lambda endpoint, switch: changes.append((endpoint, switch)))
    later = OFF._replace(by="bridge at b")
    on = Switch(True, "2026-06-29T09:00:00Z")
    for switch in (on, OFF, later, on, on):
        switches.put("crm", switch)
    assert changes == [("crm", OFF), ("crm", on)]
    assert list(switches.off()) == []


def test_the_last_record_counts_in_every_pod() -> None:
    """Compaction keeps only the last one, so a pod that starts later reads nothing else."""
    switches = Switches[str]()
    switches.put("erp", OFF)
    switches.put("crm", OFF)
    switches.put("crm", OFF._replace(by="bridge at b"))
    assert switches["crm"].by == "bridge at b"
    assert list(switches.off()) == ["crm", "erp"]
    assert switches["other"] == ON


def test_the_patterns_of_an_endpoint_are_its_own_and_those_for_all_endpoints() -> None:
    switches = Switches[EventTypes]()
    for types, on in (
        (EventTypes("Loan*"), False),
        (EventTypes("Client*", "crm"), False),
        (EventTypes("Loan*", "crm"), False),
        (EventTypes("Savings*", "erp"), True),
    ):
        switches.put(types, Switch(on))
    assert sorted(off_for(switches, "crm")) == ["Client*", "Loan*"]
    assert off_for(switches, "erp") == ("Loan*",)
    switches.put(EventTypes("Loan*", ALL), ON)
    assert sorted(off_for(switches, "crm")) == ["Client*", "Loan*"], "it was switched off for crm too"
    assert off_for(switches, "erp") == ()


def test_event_types_as_text_name_the_endpoint_they_are_limited_to() -> None:
    assert (str(EventTypes("Loan*")), str(EventTypes("Loan*", "crm"))) == ("Loan*", "Loan* for crm")
