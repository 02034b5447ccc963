"""Render docs/reference/cli.md from the commands of bridge/cli: usage, help, options and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import click

from bridge.cli import cli
from tools.markdown import REFERENCE, code, escape, generated_note, page, prose, table

PAGE = REFERENCE / "cli.md"
_HEAD = """
    Every command has `--help`. `hookferry completion SHELL` prints a script that completes commands,
    options, endpoints, sources, event types and schemas. A command that fails prints the cause and the
    remedy on standard error; the [exit codes](exit-codes.md) are for scripts.
"""
_BLOCK = "\b\n"
"""The mark in click's help texts before a paragraph whose line breaks stay."""


def render() -> dict[Path, str]:
    """Return the page."""
    commands = list(_commands(cli, click.Context(cli, info_name="hookferry", **cli.context_settings)))
    overview = table(
        ("Command", "What it does"),
        (
            (f"[{code(path)}](#{path.replace(' ', '-')})", escape(command.get_short_help_str(200)))
            for path, command, _ in commands
            if _runs(command)
        ),
    )
    sections = (part for path, command, context in commands for part in _section(path, command, context))
    return {
        PAGE: page(
            "# Command line",
            generated_note("the help texts in bridge/cli"),
            _help(cli.help or ""),
            prose(_HEAD),
            overview,
            *sections,
        )
    }


def _commands(
    group: click.Group, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield the path, the command and its context, for all commands below a group."""
    for name, command in group.commands.items():
        inner = click.Context(command, info_name=name, parent=context)
        yield inner.command_path, command, inner
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _runs(command: click.Command) -> bool:
    """Return True if a command does something itself; most groups only have commands below them."""
    return not isinstance(command, click.Group) or command.invoke_without_command


def _section(path: str, command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## {path}"
    yield _help(command.help or "")
    if not _runs(command):
        return
    yield f"```sh\n{path} {' '.join(command.collect_usage_pieces(context))}\n```"
    options = [
        parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
    ]
    if options:
        yield table(("Option", "Default", "Meaning"), (_option(option, context) for option in options))


def _help(text: str) -> str:
    """Return a help text as Markdown; paragraphs with fixed line breaks become blocks of code."""
    parts = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        fixed, plain = paragraph.partition(_BLOCK)[2], " ".join(paragraph.split())
        parts.append(f"```text\n{fixed}\n```" if fixed else escape(plain))
    return "\n\n".join(parts)


def _option(option: click.Option, context: click.Context) -> tuple[str, str, str]:
    names = ", ".join(map(code, [*option.opts, *option.secondary_opts]))
    if not option.is_flag:
        names += f" {code(option.make_metavar(context))}"
    meaning = option.help or ""
    if option.multiple:
        meaning += " Can be repeated."
    return names, _default(option, context), escape(meaning)


def _default(option: click.Option, context: click.Context) -> str:
    if option.required:
        return "required"
    default = option.get_default(context, call=False)  # click marks "no default" with an enum member
    plain = isinstance(default, str | int | float | Path) and not isinstance(default, Enum)
    words = [code(str(default))] if plain and not option.is_flag else []
    if option.envvar:
        words.insert(0, code(f"${option.envvar}"))
    return ", else ".join(words) or "none"
