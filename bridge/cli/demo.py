"""``hookferry demo``: show the product at work, without a Kafka or a receiver of your own."""

from __future__ import annotations

import sys

import click

from bridge.app.exit_codes import ExitCode
from bridge.errors import HookferryError


@click.command(short_help="See it work: an embedded broker, receivers and the bridge.")
@click.option("--keep", is_flag=True, help="Keep running after the summary, until Ctrl-C.")
def demo(keep: bool) -> None:
    """Start an embedded broker, receivers and the bridge; publish sample events and show each webhook.

    Ends on its own, with a summary, after a few seconds. Needs the demo extra: pip install 'hookferry[demo]'.
    """
    try:
        from bridge.demo.show import Ending, show
    except ModuleNotFoundError as exc:
        raise HookferryError(
            f"the demo needs {exc.name}, which is not installed; run: pip install 'hookferry[demo]'"
        ) from exc
    codes = {Ending.BROKEN: ExitCode.FAILURE, Ending.STOPPED: ExitCode.INTERRUPTED}
    sys.exit(codes.get(show(keep=keep), ExitCode.SUCCESS))
