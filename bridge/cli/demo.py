"""``hookferry demo``: the product at work, with nothing installed beside it."""

from __future__ import annotations

import sys

import click

from bridge.app.exit_codes import ExitCode
from bridge.errors import HookferryError


@click.command(short_help="See it work: a broker, receivers and the bridge.")
@click.option("--keep", is_flag=True, help="Stay up after the summary, until Ctrl-C.")
def demo(keep: bool) -> None:
    """Start an embedded broker, a receiver and the bridge; publish sample events and show each webhook.

    Ends by itself with a summary. Needs the demo extra: pip install 'hookferry[demo]'.
    """
    try:
        from bridge.demo.show import Ending, show
    except ModuleNotFoundError as exc:
        raise HookferryError(
            f"the demo needs {exc.name}, which is not installed; pip install 'hookferry[demo]'"
        ) from exc
    codes = {Ending.BROKEN: ExitCode.FAILURE, Ending.STOPPED: ExitCode.INTERRUPTED}
    sys.exit(codes.get(show(keep=keep), ExitCode.SUCCESS))
