"""The generated pages: current, complete, and true to the code that they describe."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from bridge.cli import cli
from bridge.model import Verdict
from bridge.telemetry.metrics import Metrics
from tools import architecture, cli_reference, docs, log_calls, log_events, metrics, svg


def text_of(render: object) -> str:
    (text,) = render().values()  # type: ignore[operator]
    return text


def test_every_generated_file_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert docs.main(["--check"]) == 0, capsys.readouterr().err


def test_a_missing_and_a_changed_file_are_stale(tmp_path: Path) -> None:
    files = {tmp_path / "a" / "page.md": "one\n", tmp_path / "b.md": "two\n"}
    assert docs.stale(files) == [*files]
    docs.write(files)
    assert docs.stale(files) == []
    (tmp_path / "b.md").write_text("changed\n")
    assert docs.stale(files) == [tmp_path / "b.md"]


def test_the_check_names_a_stale_file_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = docs.ROOT / "docs" / "no-such-page.md"
    monkeypatch.setattr(docs, "GENERATORS", (lambda: {page: "text\n"},))
    assert docs.main(["--check"]) == 1
    assert "docs/no-such-page.md: out of date; run `make docs`" in capsys.readouterr().err
    assert not page.exists()


def test_the_metrics_page_has_every_metric_of_the_registry() -> None:
    page = text_of(metrics.render)
    for family in Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"| `{name}` | {family.type} |" in page
    assert all(f"{verdict.value}" in page for verdict in Verdict)


@pytest.fixture(scope="module")
def events() -> dict[str, log_calls.LogEvent]:
    return log_calls.read_events()


def test_the_log_events_page_has_a_meaning_a_level_and_advice_for_every_event(
    events: dict[str, log_calls.LogEvent],
) -> None:
    page = text_of(log_events.render)
    for event in events.values():
        assert all(log_events.split_advice(event.text)), event.name
        assert event.levels <= set(log_events.RANK)
        assert f"| `{event.name}` |" in page


@pytest.mark.parametrize(
    ("constant", "levels", "fields"),
    [
        ("TOPIC_GREW", {"info"}, {"topic", "partitions"}),  # a plain call
        ("ENDPOINT_TURNED_OFF", {"error"}, {"endpoint", "reason", "remedy"}),  # an unpacked dictionary
        ("PARKING_FAILED", {"error"}, {"place", "cause", "remedy"}),  # handed to a function that logs it
        ("SOURCE_FAILED", {"warning"}, {"cause", "remedy"}),  # the default of a parameter
        ("DELIVERY_ATTEMPTED", {"info", "warning"}, {"endpoint", "status", "reason"}),  # two ways of writing
    ],
)
def test_levels_and_fields_are_read_from_the_calls(
    events: dict[str, log_calls.LogEvent], constant: str, levels: set[str], fields: set[str]
) -> None:
    event = events[constant]
    assert event.levels == levels
    assert fields <= event.fields.keys()


def test_the_command_line_page_has_every_command_and_option() -> None:
    page = text_of(cli_reference.render)

    def commands(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
        below = [(f"{path} {name}", command) for name, command in group.commands.items()]
        return [
            *below,
            *(
                one
                for name, command in below
                if isinstance(command, click.Group)
                for one in commands(command, name)
            ),
        ]

    for path, command in commands(cli, "hookferry"):
        section = page.split(f"\n## {path}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            shown = isinstance(parameter, click.Option) and not parameter.hidden
            names = parameter.opts if shown else []
            assert all(f"`{name}`" in section for name in names), (path, names)
    assert "Sentinel" not in page


def test_the_picture_has_every_package_and_every_step() -> None:
    picture = architecture.architecture().svg()
    for package in {package for floor in architecture.floors() for package in floor}:
        assert f">{package}</text>" in picture
    for step in architecture.steps():
        assert f">{step.name}</text>" in picture
        assert f">{step.place}</text>" in picture
    packages = {package for floor in architecture.floors() for package in floor}
    assert {step.package for step in architecture.steps()} <= packages


def test_text_that_does_not_fit_its_box_is_an_error_and_not_a_clipped_picture() -> None:
    with pytest.raises(ValueError, match="shorten it"):
        svg.Drawing("title", 100, 100).text((0, 0), "a text that is too wide", fits=50)
