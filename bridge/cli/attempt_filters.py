"""Select attempts on the command line: the filters that `history` and `resend` share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.shared_options import InstantType, with_options
from bridge.cli.shell_names import endpoint_names, event_types

if TYPE_CHECKING:
    from bridge.history.attempt import AttemptId
    from bridge.history.selection import AttemptFilter

_VERDICTS = ("delivered", "again", "park", "off")


class AttemptIdType(click.ParamType):  # type: ignore[type-arg]  # no type argument before click 8.5
    """The id of an attempt."""

    name = "attempt"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> AttemptId:
        """Parse the id."""
        from bridge.history.attempt import AttemptId

        try:
            return AttemptId.parse(value)
        except ValueError as exc:
            self.fail(f"{exc}; `hookferry history` prints the ids", param, ctx)


class StatusType(click.ParamType):  # type: ignore[type-arg]  # no type argument before click 8.5
    """A status of an answer, or a class of them."""

    name = "status"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the status."""
        from bridge.history.selection import check_status

        try:
            return check_status(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


_OPTIONS = [
    click.option(
        "--endpoint",
        "-e",
        metavar="NAME",
        shell_complete=endpoint_names,
        help="Only attempts of this endpoint, also of one that was removed.",
    ),
    click.option("--event", metavar="ID", help="Only attempts of this event: its id, or its webhook-id."),
    click.option(
        "--type",
        "type_",
        metavar="PATTERN",
        shell_complete=event_types,
        help="Only events of this type: a name or a pattern such as Loan*.",
    ),
    click.option("--entity", metavar="ID", help="Only events of this entity."),
    click.option("--tenant", metavar="NAME", help="Only events of this tenant."),
    click.option("--since", type=InstantType(), help="Only attempts since: 2h or 7d (ago), or an instant."),
    click.option("--until", type=InstantType(), help="Only attempts before: 2h or 7d (ago), or an instant."),
    click.option("--status", type=StatusType(), help="Only answers with this status: 503, 5xx, or none."),
    click.option("--verdict", type=click.Choice(_VERDICTS), help="Only attempts with this verdict."),
    click.option(
        "--text",
        metavar="TEXT",
        help="Only attempts with this text in reason, URL, headers or bodies, in any case.",
    ),
]
attempt_filters = with_options(_OPTIONS)
"""Add the options that select attempts."""


def wanted_attempts(given: Mapping[str, Any]) -> AttemptFilter:
    """Return the filters of the command line."""
    from bridge.history.selection import AttemptFilter

    return AttemptFilter(
        endpoint=given["endpoint"],
        event=given["event"],
        type=given["type_"],
        entity=given["entity"],
        tenant=given["tenant"],
        since_ms=given["since"],
        until_ms=given["until"],
        status=given["status"],
        verdict=given["verdict"],
        text=given["text"],
    )
