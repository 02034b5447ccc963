"""``--watch`` repeats until Ctrl-C; progress appears only on a terminal, after a second, and is erased."""

from __future__ import annotations

import asyncio
import io
import sys
import time

import pytest

from bridge.cli import progress, watching
from bridge.cli.asking import confirm
from bridge.cli.progress import Progress
from bridge.errors import KafkaUnavailable


def test_watching_repeats_and_outlives_an_error_until_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[int] = []

    def show() -> None:
        shown.append(1)
        if len(shown) == 2:
            raise KafkaUnavailable("the broker is away")

    def sleep(_: float) -> None:
        if len(shown) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    watching.watch(show, 1.0)
    assert len(shown) == 3
    assert capsys.readouterr().err == "hookferry: the broker is away\n"


def test_without_watch_it_shows_once() -> None:
    shown: list[int] = []
    watching.watch(lambda: shown.append(1), None)
    assert shown == [1]


def test_an_error_of_the_first_time_ends_it() -> None:
    def show() -> None:
        raise KafkaUnavailable("no broker")

    with pytest.raises(KafkaUnavailable):
        watching.watch(show, 1.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_shows_the_part_that_is_done() -> None:
    bar = Progress("sending")
    bar.begin("sending", 4)
    bar.step()
    assert bar.text() == "sending [########----------------------] 1/4"
    bar.begin("waiting")
    assert bar.text() == "waiting … 0 s"


@pytest.mark.parametrize(("terminal", "long"), [(True, True), (True, False), (False, True)])
def test_progress_is_drawn_on_a_terminal_once_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, long: bool
) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "_AFTER_S", 0.0 if long else 3600.0)

    async def work() -> int:
        progress.begin("reading", 2).step()
        await asyncio.sleep(0)
        return 7

    assert progress.run(work(), "asking") == 7
    drawn = stream.getvalue()
    assert ("reading" in drawn) == (terminal and long)
    if drawn:
        assert drawn.endswith("\r\x1b[K"), "it is erased"


def test_an_error_of_the_work_is_raised_and_the_line_is_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_AFTER_S", 0.0)
    monkeypatch.setattr(sys, "stderr", stream := Terminal())

    async def work() -> None:
        progress.begin("reading", 2).step()
        raise KafkaUnavailable("no broker")

    with pytest.raises(KafkaUnavailable):
        progress.run(work())
    assert stream.getvalue().endswith("\r\x1b[K")


def test_work_that_blocks_shows_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_AFTER_S", 0.0)
    monkeypatch.setattr(progress, "_EVERY_S", 0.01)
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    with progress.working("importing"):
        while "importing … 0 s" not in stream.getvalue()[20:]:
            time.sleep(0.01)
        progress.clear()
        before = stream.getvalue()
        time.sleep(0.05)
        assert stream.getvalue() == before, "a question would be overwritten"


def test_yes_answers_the_question() -> None:
    confirm("Really?", yes=True)
