"""``hookferry doctor``: try everything that the bridge needs, and print a remedy for what fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli import progress
from bridge.cli.output import Output, colored, output_option, show
from bridge.cli.run import file_or_option

if TYPE_CHECKING:
    from bridge.preflight.examine import Examined
    from bridge.preflight.probes.finding import Finding
    from bridge.settings import EndpointSettings, Settings
    from bridge.settings.problem import Path as SettingsPath

_COLORS = {"ok": "green", "skipped": "blue", "warning": "yellow", "error": "red"}


@click.command(short_help="Try brokers, topics, rights, schemas and receivers, with remedies.")
@output_option
@file_or_option
def doctor(path: Path, output: Output) -> None:
    """Try everything that the bridge needs: configuration, secrets, brokers, topics and their settings,
    rights, transactions, schemas, the collector of traces, the clock, and for each endpoint its name,
    connection, TLS, certificate, OAuth 2 login and signing keys.

    FILE is the configuration, the same as --config.

    Writes nothing and sends no event. A mistake in one part does not keep the others from being tried. Exits
    with 0 if nothing fails, with 2 if the configuration has mistakes, else with 1. Warnings do not count.
    """  # noqa: D205 - click joins the lines of a paragraph
    import os

    from bridge.preflight.examine import examine
    from bridge.preflight.probes.finding import Level

    examined = examine(path, os.environ)
    found = [*_of_configuration(path, examined), *find_online(examined)]
    errors = sum(finding.level is Level.ERROR for finding in found)
    show(
        output,
        {"file": str(path), "healthy": not errors, "findings": [finding.as_json() for finding in found]},
        lambda: [*map(describe_finding, found), _summary(errors)],
    )
    if examined.lines:
        sys.exit(ExitCode.USAGE)
    if errors:
        sys.exit(ExitCode.FAILURE)


def _summary(errors: int) -> str:
    return f"{errors} thing{'s' if errors > 1 else ''} to repair" if errors else "nothing to repair"


def describe_finding(finding: Finding) -> str:
    """Return a finding as a line."""
    from bridge.cli.parked_output import one_line

    level = colored(f"{finding.level.value:<8}", _COLORS[finding.level.value])
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    return f"{level} {finding.part}: {one_line(finding.text)}{one_line(remedy)}"


def _of_configuration(path: Path, examined: Examined) -> Iterator[Finding]:
    """Yield the mistakes, the secrets that are missing, and the warnings."""
    from bridge.preflight.probes.finding import failed, ok, warning

    tree = examined.reading.tree
    for problem in examined.problems:
        is_secret = tree is not None and problem.path in tree.hidden
        text = str(problem).removesuffix(f"; {problem.remedy}")
        yield failed("secrets" if is_secret else "configuration", text, problem.remedy)
    for text in examined.unplaced:
        yield failed("configuration", text)
    if not examined.lines:
        yield ok("configuration", f"{path} has no mistakes")
    if (
        tree is not None
        and tree.hidden
        and not any(problem.path in tree.hidden for problem in examined.problems)
    ):
        yield ok("secrets", f"all {len(tree.hidden)} references are resolved")
    for problem in examined.warnings:
        yield warning("configuration", str(problem).removesuffix(f"; {problem.remedy}"), problem.remedy)


def find_online(examined: Examined) -> list[Finding]:
    """Try the brokers, the registries and the receivers, as far as the configuration allows it."""
    return progress.run(_find(examined), "asking the brokers and the receivers")


async def _find(examined: Examined) -> list[Finding]:
    from bridge.cli.terminal import quiet_logs
    from bridge.http.tls import SystemTls
    from bridge.preflight.probes.brokers import probe_brokers
    from bridge.preflight.probes.collector import probe_collector
    from bridge.preflight.probes.finding import skipped
    from bridge.preflight.probes.receivers import probe_receivers
    from bridge.preflight.probes.schemas import probe_schemas
    from bridge.settings import uses
    from bridge.wiring.endpoints import build_egress

    quiet_logs()
    settings = examined.settings
    if settings is None:
        return [skipped("brokers and endpoints", "not tried: correct the configuration first")]
    wrong = [problem.path for problem in examined.problems]
    found = []
    if any(path[:1] == ("kafka",) and uses.KAFKA(path) for path in wrong):
        found.append(skipped("brokers", "not tried: correct kafka in the configuration first"))
    else:
        found += await probe_brokers(settings)
    found += await probe_schemas(settings)
    if not any(path[:1] == ("tracing",) for path in wrong):
        found += await probe_collector(settings.tracing)
    usable = dict(_usable(settings, wrong))
    return [*found, *await probe_receivers(usable, build_egress(settings), SystemTls())]


def _usable(settings: Settings, wrong: Sequence[SettingsPath]) -> Iterator[tuple[str, EndpointSettings]]:
    """Yield the endpoints that can be tried, without a login or keys that have mistakes.

    The settings contain stand-ins for these, and a stand-in must never be sent.
    """
    for name, endpoint in settings.endpoints.items():
        keys = {str(path[2]) for path in wrong if path[:2] == ("endpoints", name) and len(path) > 2}
        if not keys & {"url", "proxy", "tls", "source_address"}:
            fields = type(endpoint).model_fields
            left_out = {key: fields[key].default for key in keys & {"auth", "secrets", "signing"}}
            yield name, endpoint.model_copy(update=left_out)
