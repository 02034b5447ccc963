"""The memory limit is read from the control group, wherever it is mounted, and the budget follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.app import memory
from bridge.app.memory import Limit, plan_memory, read_limit

MIB = 1 << 20


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "536870912"}, 512),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/memory.max": "max",
          "sys/fs/cgroup/a/memory.max": "268435456"}, 256),
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": "536870912",
          "sys/fs/cgroup/a/memory.high": "402653184"}, 384),
        ({"proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/abc",
          "sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728",
          "sys/fs/cgroup/memory.max": "1048576"}, 128),
        ({"proc/self/cgroup": "4:memory:/a/b", "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "536870912",
          "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, 512),
    ],
    ids=["v2", "v2 of a parent", "v2 high", "v1 in a container", "v1 nested"],
)  # fmt: skip
def test_the_lowest_limit_of_the_group_and_those_above_it_counts(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    assert read_limit(write(tmp_path, files)).bytes == expected * MIB


@pytest.mark.parametrize(
    "files",
    [{}, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "max"}, {"proc/self/cgroup": "0::/gone"}],
    ids=["no control groups", "no limit", "group not mounted"],
)
def test_without_a_limit_the_memory_of_the_machine_counts(tmp_path: Path, files: dict[str, str]) -> None:
    limit = read_limit(write(tmp_path, files))
    assert limit.source == "the machine"
    assert limit.bytes > 128 * MIB


def planned(
    patch: pytest.MonkeyPatch, setting: str, limit_mib: int, at_rest_mib: int
) -> tuple[int, list[str]]:
    patch.setattr(memory, "read_limit", lambda: Limit(limit_mib * MIB, "memory.max"))
    patch.setattr(memory, "resident_bytes", lambda: at_rest_mib * MIB)
    with capture_logs() as lines:
        plan = plan_memory(setting, 1)
    return plan.total // MIB, [line["log_level"] for line in lines]


@pytest.mark.parametrize(
    ("setting", "expected"), [("70%", 278), ("50%", 176), ("300MiB", 220), ("2GiB", 432)]
)
def test_the_budget_is_what_the_setting_allows_beyond_the_memory_at_rest(
    monkeypatch: pytest.MonkeyPatch, setting: str, expected: int
) -> None:
    assert planned(monkeypatch, setting, 512, 80) == (expected, ["info"])


def test_a_limit_that_leaves_too_little_is_a_warning_and_the_least_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert planned(monkeypatch, "70%", 128, 80) == (32, ["warning", "info"])


def test_the_resident_memory_is_that_of_this_process() -> None:
    assert 10 * MIB < memory.resident_bytes() < 8192 * MIB
