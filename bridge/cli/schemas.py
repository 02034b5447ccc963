"""``hookferry schemas``: import, list, show and compare the schemas of Fineract's payloads."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli import progress
from bridge.cli.output import Output, at_most, output_option, show, table
from bridge.cli.schema_folder import folder_options
from bridge.cli.shell_names import schema_names

if TYPE_CHECKING:
    from bridge.errors import HookferryError
    from bridge.schemas.folder import Stored
    from bridge.schemas.importing.collecting import Collected
    from bridge.schemas.importing.reading import Skip

_SHOWN = 20


@click.group(short_help="Import, list, show and compare the schemas of Fineract.")
def schemas() -> None:
    """Import, list, show and compare the schemas of Fineract's payloads.

    A payload names its schema by a FINGERPRINT. One TYPE can have many layouts, all under the same name.
    """


@schemas.command("import", short_help="Import the schemas of a jar, a tarball or a folder.")
@click.argument("archive", metavar="SOURCE", type=click.Path(path_type=Path, exists=True))
@folder_options("--into", "The folder to import into; created if it does not exist.")
@output_option
def import_(archive: Path, folder: Path, output: Output) -> None:
    """Import every schema of SOURCE. Use the jar of the Fineract that runs: its events have these schemas.

    SOURCE is the server's jar (fineract-provider), fineract-avro-schemas.jar, the release tarball,
    a source checkout, or a folder with .avsc files or jars. Importing it again changes nothing.

    A running bridge uses the new schemas from the next event on. Exits with 1 if SOURCE contains no
    schema, or if two schemas contradict each other.
    """
    from bridge.cli.parked_output import one_line
    from bridge.schemas.importing import import_schemas

    with progress.working(f"importing {archive.name}"):
        summary = import_schemas(archive, folder)
    lines = [
        one_line(f"new    {stored.schema.fingerprint.hex()}  {stored.schema.name}")
        for stored in summary.new[: at_most(_SHOWN)]
    ]
    if len(summary.new) > len(lines):
        lines.append(
            f"       … and {len(summary.new) - len(lines)} more (hookferry schemas list --in {folder})"
        )
    for conflict in summary.conflicts:
        click.echo(one_line(f"conflict: {conflict.origin}: {conflict.reason}"), err=True)
    _report_skipped(summary.skipped)
    lines.append(
        f"{summary.found} schemas: {len(summary.new)} new, {len(summary.known)} known, "
        f"{len(summary.conflicts)} conflicting; skipped {len(summary.skipped)} files; in {folder}"
    )
    document = {
        "folder": str(folder),
        "found": summary.found,
        "new": [_document(stored) for stored in summary.new],
        "known": len(summary.known),
        "conflicts": [{"origin": one.origin, "reason": one.reason} for one in summary.conflicts],
        "skipped": [{"origin": one.origin, "reason": one.reason} for one in summary.skipped],
    }
    show(output, document, lambda: lines)
    if not summary.found:
        click.echo(f"{archive}: no schema found; give the jar of the running Fineract", err=True)
    if summary.conflicts or not summary.found:
        sys.exit(ExitCode.FAILURE)


@schemas.command("list", short_help="List schemas by type and fingerprint.")
@folder_options("--in", "The folder to read.")
@click.argument("pattern", default="*", shell_complete=schema_names)
@output_option
def list_(folder: Path, pattern: str, output: Output) -> None:
    """List the schemas whose type matches PATTERN, such as Loan*, ordered by type and fingerprint."""
    from fnmatch import fnmatchcase

    from bridge.cli.parked_output import one_line

    known = _stored(folder)
    matches = [
        stored
        for stored in known
        if fnmatchcase(stored.schema.name, pattern) or fnmatchcase(_short(stored.schema.name), pattern)
    ]
    if not matches and pattern != "*":
        raise _no_schema(pattern, known)
    rows = [("TYPE", "FINGERPRINT", "FIELDS", "FROM")]
    for stored in matches:
        fields = str(len(stored.definition["fields"]))
        rows.append(
            (stored.schema.name, stored.schema.fingerprint.hex(), fields, one_line(stored.origin) or "-")
        )
    show(output, [_document(stored) for stored in matches], lambda: [table(rows)])
    layouts = Counter(stored.schema.name for stored in matches)
    click.echo(f"{len(matches)} schemas of {len(layouts)} types", err=True)


@schemas.command("show", short_help="Show the fields of one schema.")
@folder_options("--in", "The folder to read.")
@click.argument("which", metavar="TYPE|FINGERPRINT", shell_complete=schema_names)
@output_option
def show_(folder: Path, which: str, output: Output) -> None:
    """Show the fields of one schema, in the order of the bytes, and the fields of the types it uses.

    JSON and YAML are the schema itself, as Avro writes it.
    """
    from bridge.schemas.importing.comparing import list_fields

    stored = _chosen(_stored(folder), which)
    head = f"{_label(stored)}, from {stored.origin or 'an unknown origin'}"
    show(output, stored.definition, lambda: [head, *list_fields(stored.definition)])


@schemas.command(short_help="Show what changed from one schema to another.")
@folder_options("--in", "The folder to read.")
@click.argument("first", metavar="A", shell_complete=schema_names)
@click.argument("second", metavar="B", shell_complete=schema_names)
@output_option
def diff(folder: Path, first: str, second: str, output: Output) -> None:
    """Show what changed from schema A to schema B. Each is a TYPE or a FINGERPRINT."""
    from bridge.schemas.importing.comparing import find_first_shift, list_differences

    known = _stored(folder)
    stored, other = _chosen(known, first), _chosen(known, second)
    same = stored.schema.fingerprint == other.schema.fingerprint
    differences = [] if same else list(list_differences(stored.definition, other.definition))
    lines = [f"A  {_label(stored)}", f"B  {_label(other)}", *(["the same layout"] if same else differences)]
    if not same:
        lines.append(
            "neither can decode the bytes of the other; the bridge selects the schema by its fingerprint"
        )
        shift = find_first_shift(stored.definition, other.definition)
        if shift and stored.schema.name == other.schema.name:
            lines.append(f"decoded with the other schema, {shift} would be the first wrong field")
    document = {"a": _document(stored), "b": _document(other), "same": same, "differences": differences}
    show(output, document, lambda: lines)


def _report_skipped(skipped: Sequence[Skip]) -> None:
    """Print one line per reason, with a few of its files."""
    from bridge.cli.parked_output import one_line

    by_reason: dict[str, list[str]] = {}
    for skip in skipped:
        by_reason.setdefault(skip.reason, []).append(skip.origin)
    reasons = list(by_reason.items())
    listed = reasons[: at_most(_SHOWN)]
    for reason, origins in listed:
        first = origins[: at_most(2)]
        more = f" and {len(origins) - len(first)} more" if len(origins) > len(first) else ""
        click.echo(one_line(f"skipped: {', '.join(first)}{more}: {reason}"), err=True)
    if len(reasons) > len(listed):
        click.echo(f"skipped: … for {len(reasons) - len(listed)} more reasons", err=True)


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
        raise _no_schema(which, known)
    if len(matches) > 1:
        choices = "".join(
            f"\n  {_label(stored)}, {len(stored.definition['fields'])} fields, from {stored.origin}"
            for stored in matches
        )
        raise HookferryError(f"{which!r} has {len(matches)} layouts; choose one by its fingerprint:{choices}")
    return matches[0]


def _no_schema(which: str, known: Sequence[Stored]) -> HookferryError:
    from bridge.errors import HookferryError
    from bridge.settings.problem import nearest

    names = [word for stored in known for word in (_short(stored.schema.name), stored.schema.name)]
    guess = nearest(which, names)
    hint = f'did you mean "{guess}"?' if guess else "`hookferry schemas list` lists all"
    return HookferryError(f"no schema {which!r}; {hint}")


def _written(fingerprint: bytes) -> tuple[str, str]:
    """Return the fingerprint in hex: as in the records, and as the number that Java prints."""
    return fingerprint.hex(), fingerprint[::-1].hex()


def _label(stored: Stored) -> str:
    return f"{stored.schema.name} {stored.schema.fingerprint.hex()}"


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _document(stored: Stored | Collected) -> dict[str, object]:
    return {
        "type": stored.schema.name,
        "fingerprint": stored.schema.fingerprint.hex(),
        "fields": len(stored.definition["fields"]),
        "from": stored.origin,
    }
