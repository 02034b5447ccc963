"""``hookferry schemas``: import, list, show and compare the schemas of Fineract's payloads."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.app.exit_codes import ExitCode

if TYPE_CHECKING:
    from bridge.schemas.folder import Stored
    from bridge.schemas.importing.reading import Skip

_SHOWN = 20
_folder = click.option(
    "--in",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    default=Path("schemas"),
    show_default=True,
    help="The folder that `schemas` of a source names.",
)


@click.group(short_help="Import, list, show and compare the schemas of Fineract.")
def schemas() -> None:
    """Import, list, show and compare the schemas of Fineract's payloads.

    A payload names its schema by a FINGERPRINT. One TYPE can have many layouts, all under the same name.
    """


@schemas.command("import", short_help="Import the schemas of a jar, a tarball or a folder.")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--into",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    default=Path("schemas"),
    show_default=True,
    help="The folder that `schemas` of a source names; created if it does not exist.",
)
def import_(source: Path, folder: Path) -> None:
    """Import every schema of SOURCE. Use the jar of the Fineract that runs: its events have these schemas.

    SOURCE is the server's jar (fineract-provider), fineract-avro-schemas.jar, the release tarball,
    a source checkout, or a folder with .avsc files or jars. Importing it again changes nothing.

    A running bridge uses the new schemas from the next event on. Exits with 1 if SOURCE contains no
    schema, or if two schemas contradict each other.
    """
    from bridge.cli.parked_output import one_line
    from bridge.schemas.importing import import_schemas

    summary = import_schemas(source, folder)
    for stored in summary.new[:_SHOWN]:
        click.echo(one_line(f"new    {stored.schema.fingerprint.hex()}  {stored.schema.name}"))
    if len(summary.new) > _SHOWN:
        click.echo(f"       … and {len(summary.new) - _SHOWN} more (hookferry schemas list --in {folder})")
    for conflict in summary.conflicts:
        click.echo(one_line(f"conflict: {conflict.origin}: {conflict.reason}"), err=True)
    _report_skipped(summary.skipped)
    click.echo(
        f"{summary.found} schemas: {len(summary.new)} new, {len(summary.known)} known, "
        f"{len(summary.conflicts)} conflicting; skipped {len(summary.skipped)} files; in {folder}"
    )
    if not summary.found:
        click.echo(f"{source}: no schema found; give the jar of the running Fineract", err=True)
    if summary.conflicts or not summary.found:
        sys.exit(ExitCode.FAILURE)


@schemas.command("list", short_help="List schemas by type and fingerprint.")
@_folder
@click.argument("pattern", default="*")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def list_(folder: Path, pattern: str, as_json: bool) -> None:
    """List the schemas whose type matches PATTERN, such as Loan*, ordered by type and fingerprint."""
    from fnmatch import fnmatchcase

    import orjson

    from bridge.cli.parked_output import one_line
    from bridge.cli.terminal import table

    matches = [
        stored
        for stored in _stored(folder)
        if fnmatchcase(stored.schema.name, pattern) or fnmatchcase(_short(stored.schema.name), pattern)
    ]
    if as_json:
        for stored in matches:
            click.echo(orjson.dumps(_document(stored)))
        return
    rows = [("TYPE", "FINGERPRINT", "FIELDS", "FROM")]
    for stored in matches:
        fields = str(len(stored.definition["fields"]))
        rows.append(
            (stored.schema.name, stored.schema.fingerprint.hex(), fields, one_line(stored.origin) or "-")
        )
    click.echo(table(rows))
    layouts = Counter(stored.schema.name for stored in matches)
    click.echo(f"{len(matches)} schemas of {len(layouts)} types", err=True)


@schemas.command(short_help="Show the fields of one schema.")
@_folder
@click.argument("which", metavar="TYPE|FINGERPRINT")
@click.option("--json", "as_json", is_flag=True, help="Print the schema itself, as Avro JSON.")
def show(folder: Path, which: str, as_json: bool) -> None:
    """Show the fields of one schema, in the order of the bytes, and the fields of the types it uses."""
    import orjson

    from bridge.schemas.importing.comparing import list_fields

    stored = _chosen(_stored(folder), which)
    if as_json:
        click.echo(orjson.dumps(stored.definition, option=orjson.OPT_INDENT_2))
        return
    click.echo(f"{_label(stored)}, from {stored.origin or 'an unknown origin'}")
    for line in list_fields(stored.definition):
        click.echo(line)


@schemas.command(short_help="Show what changed from one schema to another.")
@_folder
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
def diff(folder: Path, first: str, second: str) -> None:
    """Show what changed from schema A to schema B. Each is a TYPE or a FINGERPRINT."""
    from bridge.schemas.importing.comparing import find_first_shift, list_differences

    known = _stored(folder)
    stored, other = _chosen(known, first), _chosen(known, second)
    click.echo(f"A  {_label(stored)}\nB  {_label(other)}")
    if stored.schema.fingerprint == other.schema.fingerprint:
        click.echo("the same layout")
        return
    for line in list_differences(stored.definition, other.definition):
        click.echo(line)
    click.echo("neither can decode the bytes of the other; the bridge selects the schema by its fingerprint")
    shift = find_first_shift(stored.definition, other.definition)
    if shift and stored.schema.name == other.schema.name:
        click.echo(f"decoded with the other schema, {shift} would be the first wrong field")


def _report_skipped(skipped: Sequence[Skip]) -> None:
    """Print one line per reason, with a few of its files."""
    from bridge.cli.parked_output import one_line

    by_reason: dict[str, list[str]] = {}
    for skip in skipped:
        by_reason.setdefault(skip.reason, []).append(skip.origin)
    reasons = list(by_reason.items())
    for reason, origins in reasons[:_SHOWN]:
        more = f" and {len(origins) - 2} more" if len(origins) > 2 else ""
        click.echo(one_line(f"skipped: {', '.join(origins[:2])}{more}: {reason}"), err=True)
    if len(reasons) > _SHOWN:
        click.echo(f"skipped: … for {len(reasons) - _SHOWN} more reasons", err=True)


def _stored(folder: Path) -> list[Stored]:
    """Return every schema of the folder, each layout once; print and skip what cannot be read."""
    from bridge.schemas.folder import read_stored

    problems: list[str] = []
    by_fingerprint = {stored.schema.fingerprint: stored for stored in read_stored(folder, problems)}
    for problem in problems:
        click.echo(problem, err=True)
    return sorted(by_fingerprint.values(), key=lambda stored: (stored.schema.name, stored.schema.fingerprint))


def _chosen(known: Sequence[Stored], which: str) -> Stored:
    """Return the one matching schema. Raises ``HookferryError`` that lists the matches."""
    from bridge.errors import HookferryError

    wire = which.lower().removeprefix("c301")
    matches = [stored for stored in known if wire in _written(stored.schema.fingerprint)]
    matches = matches or [
        stored for stored in known if which in (stored.schema.name, _short(stored.schema.name))
    ]
    if not matches:
        raise HookferryError(f"no schema {which!r}; `hookferry schemas list` lists all")
    if len(matches) > 1:
        choices = "".join(
            f"\n  {_label(stored)}, {len(stored.definition['fields'])} fields, from {stored.origin}"
            for stored in matches
        )
        raise HookferryError(f"{which!r} has {len(matches)} layouts; choose one by its fingerprint:{choices}")
    return matches[0]


def _written(fingerprint: bytes) -> tuple[str, str]:
    """Return the fingerprint in hex: as in the records, and as the number that Java prints."""
    return fingerprint.hex(), fingerprint[::-1].hex()


def _label(stored: Stored) -> str:
    return f"{stored.schema.name} {stored.schema.fingerprint.hex()}"


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _document(stored: Stored) -> dict[str, object]:
    return {
        "type": stored.schema.name,
        "fingerprint": stored.schema.fingerprint.hex(),
        "fields": len(stored.definition["fields"]),
        "from": stored.origin,
    }
