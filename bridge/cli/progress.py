"""Show that a command works: how far it is, or how long it has waited, once that takes more than a second.

Invariant: it is one line on standard error, only if that is a terminal, and it is erased at the end.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

T = TypeVar("T")
_AFTER_S = 1.0
_EVERY_S = 0.2
_WIDTH = 30


class Progress:
    """What a command does, and how much of it is done. ``total`` is 0 if that is not known."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self.done = 0
        self.total = 0
        self._shown = False
        self._silent = True
        self._began = time.monotonic()
        self._drawn = 0.0

    def begin(self, doing: str, total: int = 0) -> None:
        """Begin the next part of the work, of ``total`` steps."""
        self.doing, self.done, self.total = doing, 0, total
        self._began, self._drawn, self._silent = time.monotonic(), 0.0, False
        self.draw()

    def step(self, number: int = 1) -> None:
        """Count steps that are done."""
        self.done += number
        self.draw()

    def text(self) -> str:
        """Return the line: a bar if the total is known, else the seconds."""
        if not self.total:
            return f"{self.doing} … {time.monotonic() - self._began:.0f} s"
        part = min(1.0, self.done / self.total)
        bar = "#" * round(part * _WIDTH)
        return f"{self.doing} [{bar:-<{_WIDTH}}] {self.done}/{self.total}"

    def draw(self) -> None:
        """Draw the line, if the work takes long and standard error is a terminal."""
        now = time.monotonic()
        if self._silent or now - self._began < _AFTER_S or now - self._drawn < _EVERY_S:
            return
        if not sys.stderr.isatty():
            return
        self._drawn, self._shown = now, True
        click.echo(f"\r\x1b[K{self.text()}", err=True, nl=False)

    def clear(self) -> None:
        """Erase the line, so that output can follow. Nothing is drawn until the next ``begin``."""
        self._silent = True
        if self._shown:
            self._shown = False
            click.echo("\r\x1b[K", err=True, nl=False)


_progress = Progress("")


@contextmanager
def working(doing: str, total: int = 0) -> Iterator[Progress]:
    """Show the progress of the work inside, which may block; its output must follow ``clear``."""
    _progress.begin(doing, total)
    ended = threading.Event()
    drawing = threading.Thread(target=_draw_until, args=(ended,), name="progress", daemon=True)
    if sys.stderr.isatty():
        drawing.start()
    try:
        yield _progress
    finally:
        ended.set()
        if drawing.is_alive():
            drawing.join()
        _progress.clear()


def _draw_until(ended: threading.Event) -> None:
    while not ended.wait(_EVERY_S):
        _progress.draw()


def begin(doing: str, total: int = 0) -> Progress:
    """Begin the next part of the work of the command that runs."""
    _progress.begin(doing, total)
    return _progress


def clear() -> None:
    """Erase the line before something else is printed."""
    _progress.clear()


def run(work: Coroutine[Any, Any, T], doing: str = "asking the brokers") -> T:
    """Run the work of a command; show its progress. Returns what it returns, raises what it raises."""
    with working(doing):
        return asyncio.run(work)
