"""The counter of ruled-out words: it reads each kind of prose, ignores code, and reports the right lines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import plain_english


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(plain_english, "ROOT", tmp_path)
    return tmp_path


def found_in(root: Path, name: str, text: str) -> list[tuple[int, str]]:
    """The line and the word of each finding in a file with this text."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    found = [
        (line, word)
        for passage in plain_english.passages(path)
        for line, word, _ in plain_english.findings(passage)
    ]
    return sorted(found)


def test_a_docstring_is_read_with_its_own_line_numbers(root: Path) -> None:
    text = (
        '"""First line.\n\nIt stands here.\n"""\n'
        '\n\ndef f():\n    """Good.\n\n    Nobody calls it.\n    """\n'
    )
    assert found_in(root, "bridge/a.py", text) == [(3, "stands"), (10, "Nobody")]


def test_a_docstring_that_begins_with_a_line_break_keeps_its_line_numbers(root: Path) -> None:
    assert found_in(root, "bridge/a.py", 'class C:\n    """\n    Whoever reads it.\n    """\n') == [
        (3, "Whoever")
    ]


def test_the_docstring_of_a_constant_is_read(root: Path) -> None:
    assert found_in(root, "tests/a.py", 'LIMIT = 1\n"""What it says."""\n') == [(2, "says")]


def test_a_comment_is_read(root: Path) -> None:
    assert found_in(root, "bridge/a.py", "x = 1\ny = 2  # for ever, and anew\n") == [
        (2, "anew"),
        (2, "for ever"),
    ]


def test_a_message_is_read_in_the_package_and_not_in_the_tests(root: Path) -> None:
    text = 'x = 1\nraise ValueError("the broker stands still for long")\n'
    assert found_in(root, "bridge/a.py", text) == [(2, "stands")]
    assert found_in(root, "tools/a.py", text) == [(2, "stands")]
    assert found_in(root, "tests/a.py", text) == []


def test_a_concatenated_message_counts_as_one_and_is_reported_by_line(root: Path) -> None:
    text = 'x = (\n    "the topic"\n    f" of {nobody!r}"\n    " stands"  # why\n    " still"\n)\n'
    assert found_in(root, "bridge/a.py", text) == [(4, "stands")]


def test_a_short_string_is_data(root: Path) -> None:
    assert found_in(root, "bridge/a.py", 'x = {"told": 1, "asks now": 2}\n') == []


@pytest.mark.parametrize(
    "text",
    [
        "told = asks(knows)\n",
        '"""Call ``tells`` or `told`."""\n',
        '"""An example::\n\n    told = 1\n"""\n',
        '"""See https://example.com/told/asks."""\n',
    ],
)
def test_code_is_ignored_in_a_module(root: Path, text: str) -> None:
    assert found_in(root, "bridge/a.py", text) == []


def test_a_page_is_read_without_its_code(root: Path) -> None:
    text = "# Title\n\nIt tells.\n\n```sh\nasks told\n```\n\n`says` is code, desk is not.\n"
    assert found_in(root, "docs/a.md", text) == [(3, "tells"), (9, "desk")]


def test_only_the_comments_of_a_configuration_are_read(root: Path) -> None:
    assert found_in(root, "config/a.yaml", "told: says\nx: 1  # what it asks\n") == [(2, "asks")]


def test_whole_words_count_and_parts_of_words_do_not(root: Path) -> None:
    assert found_in(root, "docs/a.md", "understand, essays, tasks, outstanding, foretold\n") == []


@pytest.mark.parametrize(
    ("text", "code"),
    [("A plain page of ten words, which has none of them.\n", 0), ("It stands behind.\n", 1)],
)
def test_the_exit_code_depends_on_the_rate(
    root: Path, capsys: pytest.CaptureFixture[str], text: str, code: int
) -> None:
    (root / "docs").mkdir()
    (root / "docs" / "a.md").write_text(text)
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=root, check=True)
    assert plain_english.main([]) == code
    assert "docs" in capsys.readouterr().out
    assert plain_english.main(["docs"]) == 0
    assert ("docs/a.md:1: stands" in capsys.readouterr().out) == bool(code)


def test_generated_pages_are_counted_where_their_text_is_written(root: Path) -> None:
    for name in ("docs/reference/a.md", "docs/b.md"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("It stands.\n")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=root, check=True)
    assert list(plain_english.files(["docs"])) == [root / "docs" / "b.md"]
