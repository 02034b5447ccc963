"""Pages of the documentation: links resolve, configurations pass, decisions and floors are complete."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.settings import Settings, check

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("config/**/*.md"), *ROOT.glob("helm/**/*.md")]
)
CHECKED_ELSEWHERE = ("docs/how-to/formats/", "docs/how-to/receivers/", "docs/reference/")
ENV = {
    "CRM_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "CRM_KEY": "whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "COLLECTOR_TOKEN": "t",
    "CRM_TOKEN": "t",
    "OLD_SECRET": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "PROXY_PASSWORD": "p",
    "SLACK_URL": "https://hooks.slack.com/services/T/B/x",
}
MAP_WIDTH = 34  # columns of the floor map with names; the descriptions follow
HEAD = {
    "kafka": {"bootstrap_servers": ["k:9092"]},
    "sources": {"fineract": {"topics": ["external-events"], "format": "json", "id": "id", "type": "type"}},
    "endpoints": {"crm": {"url": "https://crm.example.com/"}},
}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> list[str]:
    """Return the lines of a page outside its code blocks."""
    lines, fenced = [], False
    for line in page.read_text("utf-8").splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            lines.append(line)
    return lines


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings as GitHub builds them; a repeated heading gets a number."""
    repeats: dict[str, int] = {}
    for line in prose(page):
        if match := re.match(r"#{1,6} +(.*)", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1].strip().lower())
            anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            repeats[anchor] = repeats.get(anchor, 0) + 1
    return {name if n == 0 else f"{name}-{n}" for name, times in repeats.items() for n in range(times)}


def blocks(page: Path) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def configurations() -> list[Any]:
    """Return every block that contains only settings; the test adds the sections that a page omits."""
    examples: list[Any] = []
    for page in PAGES:
        if name_of(page).startswith(CHECKED_ELSEWHERE):
            continue
        for number, text in enumerate(blocks(page)):
            if text.startswith(" "):  # an excerpt of a longer block
                continue
            if (
                isinstance(given := yaml.safe_load(text), dict)
                and given.keys() <= Settings.model_fields.keys()
            ):
                examples.append(pytest.param(text, id=f"{name_of(page)}-{number}"))
    return examples


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_resolves(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", "\n".join(prose(page)))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("text", configurations())
def test_a_configuration_on_a_page_passes_check(text: str, tmp_path: Path) -> None:
    folder = tmp_path / "schemas" / "fineract"
    folder.mkdir(parents=True)
    (folder / "a.avsc").write_text('{"type": "record", "name": "a.A", "fields": []}', "utf-8")
    (tmp_path / "kafka").write_text("secret", "utf-8")
    text = text.replace("/run/secrets", str(tmp_path))
    if "url:" not in text:
        text = text.replace("  crm:\n", "  crm:\n    url: https://crm.example.com/\n")
    missing = {key: value for key, value in HEAD.items() if key not in yaml.safe_load(text)}
    file = tmp_path / "bridge.yaml"
    file.write_text(text + (yaml.safe_dump(missing) if missing else ""), "utf-8")
    assert check(file, ENV) == []


def test_the_configurations_of_the_first_pages_are_checked() -> None:
    pages = {example.id.rpartition("-")[0] for example in configurations()}
    assert pages >= {
        *("README.md", "docs/tutorial/quick-start.md"),
        *("docs/how-to/fineract.md", "docs/how-to/routing.md"),
    }


def test_decisions_have_one_number_each_and_are_all_in_the_index() -> None:
    files = [path.name for path in sorted((ROOT / "docs" / "adr").glob("0*.md"))]
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1))
    for name in files:
        heading = (ROOT / "docs" / "adr" / name).read_text("utf-8").splitlines()[0]
        assert heading.startswith(f"# {int(name[:4])}. "), name
    index = (ROOT / "docs" / "adr" / "README.md").read_text("utf-8")
    assert re.findall(r"\]\((0\d{3}-[^)]*)\)", index) == files


def test_the_floor_map_has_the_floors_and_their_files() -> None:
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter", "utf-8")
    layers = rules["importlinter:contract:floors"]["layers"].split("\n")
    floors: list[set[str]] = []
    for line in (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("```\n")[1].splitlines():
        if not line.startswith(" "):
            floors.append(set())
        floors[-1] |= set(re.findall(r"\w+", line[:MAP_WIDTH]))
    assert floors == [set(re.findall(r"\w+", layer)) for layer in layers if layer.strip()]
