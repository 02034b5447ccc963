"""The how-to of each receiver: its configurations are valid and its commands work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli import cli
from bridge.receivers import PRESETS

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "receivers"
PAGES = sorted(FOLDER.glob("*.md"))
HEAD = """\
group: g
kafka: {bootstrap_servers: ["k:9092"]}
sources: {bank: {topics: [external-events], format: json, id: id, type: type}}
endpoints:
"""
ENVIRONMENT = {
    "HOOKFERRY_SHARED": None,  # for the tests; it is not a setting
    "SLACK_URL": "https://hooks.slack.com/services/T/B/x",
    "ZAPIER_URL": "https://hooks.zapier.com/hooks/catch/1/x/",
    "TEAMS_URL": "https://prod-00.westeurope.logic.azure.com/workflows/x?sig=y",
    "DISCORD_URL": "https://discord.com/api/webhooks/1/x",
    "PAGERDUTY_KEY": "0123456789abcdef0123456789abcdef",
    "CRM_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "RECEIVER_AUTH": "Basic dTpw",
}


def configurations(page: Path) -> list[str]:
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    return [HEAD + block.removeprefix("endpoints:\n") for block in blocks]


def ask(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, arguments, env=ENVIRONMENT)
    return result.exit_code, result.output


def test_every_receiver_has_a_page():
    assert {page.stem for page in PAGES} == PRESETS.keys() - {"teams-connector"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_configurations_on_a_page_have_no_problems(page, tmp_path):
    for number, text in enumerate(configurations(page)):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        assert ask("check", str(file)) == (0, f"{file}: no problems\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_on_a_page_render_their_samples(page, tmp_path):
    file = tmp_path / "bridge.yaml"
    file.write_text(configurations(page)[0], encoding="utf-8")
    named = re.findall(r"hookferry render -c bridge.yaml -e (\S+) -s (\S+)", page.read_text(encoding="utf-8"))
    assert named
    for endpoint, sample in named:
        code, output = ask("render", "-c", str(file), "-e", endpoint, "-s", sample, "--pretty")
        assert code == 0, output
        assert "note:" not in output, "the endpoint would not be sent it"


@pytest.mark.parametrize(
    ("page", "number", "samples"),
    [
        ("slack", 1, ["LoanApprovedBusinessEvent"]),
        ("pagerduty", 1, ["LoanRepaymentOverdueBusinessEvent", "LoanCloseBusinessEvent"]),
    ],
)
def test_a_custom_template_on_a_page_renders_json(page, number, samples, tmp_path):
    file = tmp_path / "bridge.yaml"
    file.write_text(configurations(FOLDER / f"{page}.md")[number], encoding="utf-8")
    (endpoint,) = re.findall(r"^  ([a-z-]+):$", file.read_text(), re.M)
    bodies = []
    for sample in samples:
        code, output = ask("render", "-c", str(file), "-e", endpoint, "-s", sample)
        assert code == 0, output
        bodies.append(json.loads(output.partition("\n\n")[2]))
    if page == "slack":
        assert bodies == [{"text": "*Jane Wanjiru* may have KES 150,000.00"}]
    else:
        assert [body["event_action"] for body in bodies] == ["trigger", "resolve"]
