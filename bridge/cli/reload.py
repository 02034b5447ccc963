"""``hookferry reload``: have all pods, or one process, read their configuration again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli import progress
from bridge.cli.output import Output, output_option, show, table
from bridge.cli.run import config_option
from bridge.cli.shared_options import reason_option

if TYPE_CHECKING:
    from bridge.core.reload_request import ReloadAnswer
    from bridge.settings import Settings

_WAIT_S = 15.0


@click.command(short_help="Apply a changed configuration without a restart.")
@click.option("--pid", type=click.IntRange(min=2), help="Only the process with this id, on this machine.")
@reason_option
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0, max=600),
    default=_WAIT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the answers of the pods.",
)
@output_option
@config_option
def reload(pid: int | None, reason: str, wait_s: float, path: Path, output: Output) -> None:
    """Have every pod of the group read its configuration again, and show what came of it.

    Each pod reads its own file, validates it as a whole, and takes it over without a restart; or it keeps
    the one before and names what is wrong. The request goes through the control topic. Exits with 1 if a pod
    did not take over its file, or did not answer. With --pid, a signal is sent to that process, and its log
    and /readyz show the outcome.
    """
    if pid is not None:
        _signal(pid)
        show(output, {"pid": pid, "signal": "SIGHUP"}, lambda: [f"sent SIGHUP to {pid}; see its log"])
        return
    from bridge.cli.terminal import read_settings

    answers, missing = progress.run(_ask(read_settings(path), reason, wait_s))
    document = {"pods": [answer._asdict() for answer in answers], "without_answer": missing}
    show(output, document, lambda: [_table(answers), *_missing(missing, wait_s)])
    if missing or any(answer.error for answer in answers):
        sys.exit(ExitCode.FAILURE)


def _signal(pid: int) -> None:
    import signal

    from bridge.errors import ConfigError

    try:
        os.kill(pid, signal.SIGHUP)
    except ProcessLookupError:
        remedy = "give the id of a running bridge"
        raise ConfigError([f"--pid {pid}: there is no such process; {remedy}"]) from None
    except PermissionError:
        remedy = "run the command as the user of that process"
        raise ConfigError([f"--pid {pid}: not permitted to send it a signal; {remedy}"]) from None


async def _ask(settings: Settings, reason: str, wait_s: float) -> tuple[list[ReloadAnswer], int]:
    """Write the request and the record of it; return the answers, and how many members gave none.

    Raises ``KafkaUnavailable``.
    """
    import secrets

    from bridge.cli.reload_answers import ReloadAnswers
    from bridge.cli.terminal import ensure_control_topic, operator_name
    from bridge.core.changes import Change
    from bridge.core.reload_request import REQUEST_KEY, ReloadRequest
    from bridge.core.switches import EventTypes, Switches
    from bridge.kafka.session import AdminSession
    from bridge.wiring.audit import audit_record, now
    from bridge.wiring.kafka import build_control, build_kafka_options

    await ensure_control_topic(settings)
    async with AdminSession(build_kafka_options(settings.kafka)) as visit:
        members = len(await visit.members(settings.group))
    request = ReloadRequest(secrets.token_hex(8), operator_name())
    answers = ReloadAnswers(request.id)
    control = build_control(
        settings, Switches[str](), Switches[EventTypes](), request.by, others=answers.others
    )
    await control.load()
    change = Change(now(), request.by, "reload", "configuration", reason)
    await control.write_all({REQUEST_KEY: request.to_bytes(), **audit_record(change)})
    await answers.wait(control, members, wait_s)
    return answers.all(), max(0, members - len(answers.all()))


def _table(answers: list[ReloadAnswer]) -> str:
    if not answers:
        return "no pod answered"
    lines: list[Any] = [("POD", "OUTCOME", "CONFIGURATION", "ERROR")]
    lines += [(answer.pod, answer.outcome, answer.hash, answer.error or "-") for answer in answers]
    return table(lines)


def _missing(missing: int, wait_s: float) -> list[str]:
    if not missing:
        return []
    return [
        f"{missing} members of the group did not answer within {wait_s:g} s: they are older, are"
        " starting, or wait for the broker; /readyz of each shows its configuration"
    ]
