"""``hookferry status`` puts a group on one screen, and names what needs attention."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

from bridge.cli.endpoint_rows import EndpointRow
from bridge.cli.status import Screen, screen_lines
from bridge.core.lag import Backlog
from bridge.core.switches import ON, Switch

SETTINGS = SimpleNamespace(group="bank", kafka=SimpleNamespace(bootstrap_servers=("k:9092",)))


def screen(**changes: Any) -> Screen:
    row = EndpointRow("crm", ON, Backlog(0), 0, 0)
    settings, here = cast("Any", SETTINGS), (True, "assigned: 4 partitions")
    none = Counter[str]()
    whole = Screen(settings, [], ["pod-1 at 10.0.0.1"], here, {}, [row], [], none, none, none)
    return whole._replace(**changes)


def test_a_healthy_group_needs_no_attention() -> None:
    lines = list(screen_lines(screen()))
    assert lines[0] == "group bank at k:9092; pods: pod-1 at 10.0.0.1"
    assert lines[1] == "the bridge on this machine: ready, assigned: 4 partitions"
    assert lines[-1] == "nothing needs attention"


def test_what_needs_attention_is_named_with_the_command_that_helps() -> None:
    rows = [
        EndpointRow("crm", Switch(False, "2026-06-29T08:15:30Z", "ann", "status 410"), Backlog(7), 9, 2),
        EndpointRow("erp", ON, None, None, 0),
    ]
    shown = screen(
        rows=rows, pods=[], topics_missing=["orders"], slowed={"erp": "3 at once"},
        parked=Counter({"crm": 4, "*": 1}), queued=Counter({"crm": 2}), held=Counter({"crm": 1}),
        types_off=["Loan*"],
    )  # fmt: skip
    lines = "\n".join(screen_lines(shown))
    for part in (
        "no bridge runs in this group", "topic orders does not exist",
        "crm is off: status 410; when that is repaired: hookferry endpoints on crm", "erp has not begun",
        "crm holds 1 lanes; see: hookferry parked list --holds -e crm",
        "4 dead letters for crm wait for a decision: hookferry parked list -e crm",
        "hookferry parked list -e '*'", "erp is slowed to 3 at once", "event types off: Loan*",
    ):  # fmt: skip
        assert part in lines, part
    row = next(line for line in lines.splitlines() if line.startswith("crm"))
    assert row.split()[:8] == ["crm", "off", "7", "-", "2", "4", "2", "1"]


def test_the_document_has_what_the_screen_has() -> None:
    document = screen(parked=Counter({"crm": 4}), pods=None, here=None).as_json()
    assert (
        document["endpoints"][0] | {"parked": 4, "queued": 0, "held_lanes": 0, "lag": 0}
        == (document["endpoints"][0])
    )
    assert (document["group"], document["pods"], document["bridge_here"]) == ("bank", None, None)
    assert document["attention"] == [
        "4 dead letters for crm wait for a decision: hookferry parked list -e crm"
    ]
