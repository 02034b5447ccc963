"""Standard output and standard error without secrets, for every command and for tracebacks.

Invariant: what a command prints goes through ``scrub``, unless the user asked for the secrets
(``--show-secrets``).
"""

from __future__ import annotations

import io
import sys
from typing import TextIO

import click

from bridge.telemetry.scrub import scrub


class ScrubbedStream(io.TextIOWrapper):
    """Writes to the bytes of another stream. ``buffer`` stays as it is: logs are scrubbed before."""

    def __init__(self, stream: TextIO) -> None:
        self.original = stream
        """Also keeps the stream open, which would close the bytes with it."""
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=True,
        )

    def write(self, text: str) -> int:
        """Write a text without the secrets in force."""
        super().write(scrub(text))
        return len(text)


def scrub_streams() -> None:
    """Replace standard output and standard error. Tracebacks and warnings use the latter."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None:  # it is None if the shell closed it
            setattr(sys, name, ScrubbedStream(stream))


def echo_secrets(text: str) -> None:
    """Print a text with the secrets that it contains, because the user asked for them."""
    sys.stdout.flush()
    stream = sys.stdout.original if isinstance(sys.stdout, ScrubbedStream) else sys.stdout
    click.echo(text, file=stream)
