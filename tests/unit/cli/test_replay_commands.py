"""What the commands around replays refuse before they ask a broker, and how they show progress."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bridge.cli import cli, replay_output
from bridge.cli.moving import TargetType
from bridge.core.jobs import JobState
from bridge.core.lag import replay_names
from bridge.core.replay import ReplayProgress
from bridge.errors import ConfigError
from bridge.model import Partition
from bridge.wiring.replay_plan import ReplayRequest, check_request
from tests.support.fakes import P0
from tests.support.path import Plan, settings_of
from tests.support.replays import replay

NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ReplayRequest("crn", 0), 'did you mean "crm"?'),
        (ReplayRequest("crm", 0, types=("Loam*",)), 'did you mean "Loan*"?'),
        (ReplayRequest("crm", 0, types=("!Loan*",)), "is an exclusion"),
        (ReplayRequest("crm", 0, types=("Loan[",)), "never closed"),
        (ReplayRequest("crm", 0, when="data.("), "the filter cannot be read"),
        (ReplayRequest("crm", 0, rate_per_s=0.0), "rate"),
        (ReplayRequest("crm", 5, until_ms=5), "begins at its end"),
        (ReplayRequest("crm", NOW_MS + 1), "in the future"),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_refused(request_: ReplayRequest, message: str) -> None:
    settings = settings_of({"crm": Plan(("Loan*",))})
    with pytest.raises(ConfigError) as refused:
        check_request(settings, request_, NOW_MS)
    assert message in str(refused.value)


def test_a_valid_request_passes() -> None:
    settings = settings_of({"crm": Plan(("Loan*",))})
    check_request(settings, ReplayRequest("crm", 0, types=("LoanApproved",), when="data.a > 1"), NOW_MS)


def test_a_place_is_a_word_an_instant_or_offsets() -> None:
    kind = TargetType("end")
    assert kind.convert("end", None, None) == "end"
    assert kind.convert("2026-06-29T08:15:00Z", None, None) == 1_782_720_900_000
    assert kind.convert("a-b-0@7, a-b-1@9", None, None) == {Partition("a-b", 0): 7, Partition("a-b", 1): 9}


@pytest.mark.parametrize("text", ["beginning", "soon", "orders@5", "orders-0@x", "orders-0@1,", "@", ""])
def test_another_place_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        TargetType("end").convert(text, None, None)
    assert "such as" in refused.value.message


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "start", "-e", "crm", "--from", "yesterday"),
        ("replay", "start", "--from", "2h"),
        ("rewind", "crm"),
        ("skip-to", "crm", "--to", "beginning"),
    ],
)
def test_a_mistake_in_the_arguments_ends_with_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, [*arguments, "-c", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2


def test_a_replay_is_shown_with_its_progress_and_an_estimate() -> None:
    job = replay({P0: (0, 100)})._replace(created="2026-11-27T09:00:00Z", changed="2026-11-27T09:00:00Z")
    progress = ReplayProgress(25, 100, (P0,))
    now_s = 1_795_770_000.0 + 60
    lines = "\n".join(replay_output.page(job, progress, now_s))
    assert "25 of 100 offsets" in lines
    assert "about 3m 0s" in lines
    assert "1 of 1 partitions: orders-0" in lines
    paused = "\n".join(replay_output.page(job._replace(state=JobState.PAUSED), progress, now_s))
    assert "about" not in paused


def test_cursors_of_replays_are_recognized_by_their_group() -> None:
    groups = dict.fromkeys(
        [
            "g.crm.replay-0a1b2c3d",
            "g.crm",
            "g.crm.replay-x",
            "g.a.b.replay-0a1b2c3d",
            "h.crm.replay-0a1b2c3d",
        ],
        "",
    )
    assert replay_names("g", groups) == ["crm.replay-0a1b2c3d"]
