"""Count the words that CONTRIBUTING.md ("How we write") rules out: in docstrings, comments, messages, pages.

``python -m tools.plain_english`` prints the rate of each part of the repository and fails above
``LIMIT`` findings in 10,000 words. With paths, it lists every finding in them, so that the sentences
can be rewritten: ``python -m tools.plain_english bridge/kafka docs``.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 5.0
"""Findings in 10,000 words."""
PARTS = ("bridge", "tools", "tests", "docs", "config", "helm")
GENERATED = ("docs/reference/", "tests/golden/")
"""Written by other tools, from texts that are counted in the code."""
_SELF = ("tools/plain_english.py", "tests/unit/docs/test_plain_english.py")
"""These contain the words on purpose."""
_WITH_MESSAGES = ("bridge", "tools")
"""Where strings are texts for people; those of the tests are mostly data."""
_MESSAGE_WORDS = 4
"""A string literal with at least this many words counts as a message to a person."""

FORBIDDEN = re.compile(
    r"\b(?:whoever|whomever|nobody|by whom|whose is|stands?|stood|behind|told|tells?|says?|said|asks|knows?"
    r"|knew|hears?|heard|wants|anew|beside|mend(?:s|ed|ing)?|for ever|in one go|none such|be it"
    r"|for it is another|of its(?=[.,;:)])|desks?|errands?|troubles?|patience|clothes|dress(?:es|ed)?"
    r"|speaks? of|learnt)\b",
    re.IGNORECASE,
)
_CODE = re.compile(r"``[^`]*``|`[^`]*`|^ {4,}\S.*$|https?://\S+", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_STRING = re.compile(r"(?s)(\w*)(\"{3}|'{3}|[\"'])(.*)\2")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")


class Passage(NamedTuple):
    """A docstring, a comment, a message or a page: its first line, and the prose in it."""

    path: Path
    line: int
    text: str


def passages(path: Path) -> Iterator[Passage]:
    """Yield the prose of one file; code in it is blanked, so that line numbers stay."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        yield Passage(path, 1, _FENCE.sub(_blank, text))
    elif path.suffix == ".py":
        yield from _strings(path, text)
        yield from _comments(path, text)
    else:
        for number, line in enumerate(text.splitlines(), 1):
            _, mark, comment = line.partition("#")
            if mark:
                yield Passage(path, number, comment)


def _strings(path: Path, text: str) -> Iterator[Passage]:
    """Yield docstrings and, outside of the tests, messages: each string of a literal by its own line."""
    statements = {
        (node.lineno, node.col_offset)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    messages = any(path.is_relative_to(ROOT / part) for part in _WITH_MESSAGES)
    for literal in _literals(text):
        contents = [_content(token.string) for token in literal]
        words = sum(len(_WORD.findall(content)) for content in contents)
        if literal[0].start in statements or (messages and words >= _MESSAGE_WORDS):
            for token, content in zip(literal, contents, strict=True):
                yield Passage(path, token.start[0], content)


def _literals(text: str) -> Iterator[list[tokenize.TokenInfo]]:
    """Yield the string literals: one token, or several that Python concatenates."""
    literal: list[tokenize.TokenInfo] = []
    for token in _whole_strings(text):
        if token.type == tokenize.STRING:
            literal.append(token)
        elif literal and token.type not in (tokenize.NL, tokenize.COMMENT):
            yield literal
            literal = []


def _whole_strings(text: str) -> Iterator[tokenize.TokenInfo]:
    """Yield the tokens, each f-string as one: Python 3.12 divides them."""
    begin, end = getattr(tokenize, "FSTRING_START", None), getattr(tokenize, "FSTRING_END", None)
    lines, depth, start = text.splitlines(keepends=True), 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == begin:
            start, depth = (start if depth else token.start), depth + 1
        elif token.type == end:
            depth -= 1
            if not depth:
                yield token._replace(
                    type=tokenize.STRING, string=_between(lines, start, token.end), start=start
                )
        elif not depth:
            yield token


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    (first, left), (last, right) = start, end
    cut = lines[first - 1 : last]
    cut[-1] = cut[-1][:right]
    cut[0] = cut[0][left:]
    return "".join(cut)


def _content(source: str) -> str:
    """Return the text of a string's source, dedented, with all its lines, without an f-string's values."""
    prefix, inner = _STRING.fullmatch(source).group(1, 3)  # type: ignore[union-attr] # it is a string token
    if "f" in prefix.lower():
        inner = _PLACEHOLDER.sub(" ", inner)
    first, *rest = inner.replace("\\n", "  ").split("\n")
    if rest and first and not rest[-1].strip():  # the closing quotes show the indentation
        indent = len(rest[-1])
    else:
        indent = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    return "\n".join([first, *(line[indent:] for line in rest)])


def _comments(path: Path, text: str) -> Iterator[Passage]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield Passage(path, token.start[0], token.string.lstrip("#"))


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def findings(passage: Passage) -> Iterator[tuple[int, str, str]]:
    """Yield line number, word and line of each forbidden word."""
    prose = _CODE.sub(lambda match: " " * len(match[0]), passage.text)
    for number, line in enumerate(prose.splitlines(), passage.line):
        for match in FORBIDDEN.finditer(line):
            yield number, match[0], line.strip()


def files(paths: Iterable[str]) -> Iterator[Path]:
    """Yield the files in git that hold prose, below these paths."""
    listed = subprocess.run(
        ["git", "ls-files", "--", *paths], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in listed:
        counted = not name.startswith(GENERATED) and name not in _SELF
        if counted and name.endswith((".py", ".md", ".yaml", ".yml")):
            yield ROOT / name


def main(arguments: list[str]) -> int:
    """Print the rates, or every finding below the given paths; return the exit code."""
    if arguments:
        for path in files(arguments):
            for passage in passages(path):
                for number, word, line in findings(passage):
                    print(f"{path.relative_to(ROOT)}:{number}: {word}: {line}")
        return 0
    total_words = total_found = 0
    for part in (*PARTS, "."):
        of_part = [
            path for path in files([part]) if part != "." or path.parent == ROOT
        ]  # "." is README, CHANGELOG, CONTRIBUTING
        texts = [passage for path in of_part for passage in passages(path)]
        words = sum(len(_WORD.findall(_CODE.sub(" ", passage.text))) for passage in texts)
        found = sum(1 for passage in texts for _ in findings(passage))
        total_words, total_found = total_words + words, total_found + found
        print(f"{part:<8}{words:>8} words {found:>6} found {10_000 * found / max(words, 1):>7.1f} in 10,000")
    rate = 10_000 * total_found / max(total_words, 1)
    print(f"{'all':<8}{total_words:>8} words {total_found:>6} found {rate:>7.1f} in 10,000, limit {LIMIT:g}")
    return 1 if rate > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
