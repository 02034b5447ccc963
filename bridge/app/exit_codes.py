"""The exit codes of ``hookferry``: what each one means, and what to do about it.

Every place that ends the process uses these; the reference page is generated from them.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """An exit code; ``meaning`` and ``remedy`` are for the operator, and the docstring holds both."""

    meaning: str
    remedy: str

    def __new__(cls, code: int, meaning: str, remedy: str) -> ExitCode:
        """Create the member for ``code``."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.remedy = remedy
        member.__doc__ = f"{meaning} {remedy}"
        return member

    SUCCESS = (
        0,
        "The command did what it was asked to do. `run` stopped after SIGTERM or Ctrl-C:"
        " it drained within the deadline, committed, and left the group.",
        "Nothing to do.",
    )
    FAILURE = (
        1,
        "The command could not do it, or the result is not the wanted one: an error ended `run`, Kafka is"
        " not reachable, the receiver did not accept the event (`send`), a request is not genuine"
        " (`verify`), an event was parked again or still waits (`parked redrive`), a lane is still held"
        " (`parked redrive`, `parked discard`), something that the bridge needs fails (`doctor`,"
        " `check --online`), a record has no known format or is not decoded (`inspect`), no schema was found"
        " or two contradict each other (`schemas import`), the demo broke a promise, the disk is full, or the"
        " answer to a question was no.",
        "Read the message: it names the place, the cause and the remedy. Then run the command again.",
    )
    USAGE = (
        2,
        "The command line or the configuration has a mistake. Nothing was started or changed.",
        "Correct what the message names. `hookferry check FILE` lists every mistake in a configuration.",
    )
    ABANDONED = (
        3,
        "`run` was stopped by a signal and had not ended 8 s after the drain deadline. Unfinished deliveries"
        " are not lost: the next owner of the partitions makes them, so a receiver may get some twice.",
        "Start it again. Report it with the `task.seen` lines of the log: they show what each task awaits.",
    )
    INTERRUPTED = (
        130,
        "Ctrl-C or SIGTERM stopped `demo` before it had checked everything.",
        "Start the demo again to see its summary.",
    )
