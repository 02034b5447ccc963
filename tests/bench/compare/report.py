"""The results as Markdown: one table for each kind of cell, and the facts of the run.

Pure, except for ``replace_block``, which writes a part of a page. A figure that was not measured is a dash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.compare import others
from tests.bench.compare.judging import Comparison, Figures

NAMES = {"bare": "bare loop", "go": "Go peer", "hookferry": "Hookferry", "base": "base"}
_NONE = "-"
Result = Mapping[str, Any]


class NoSuchBlock(Exception):
    """A page does not have the marks between which the benchmark writes."""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _times(value: float) -> str:
    return f"{value:.2f}"


def _figure(by_contender: Mapping[str, Figures], contender: str, name: str) -> str:
    value = by_contender.get(contender, {}).get(name)
    return _NONE if value is None else _number(value)


def _ratio(by_contender: Mapping[str, Figures], other: str, name: str) -> str:
    ours, theirs = (by_contender.get(contender, {}).get(name) for contender in ("hookferry", other))
    return _NONE if ours is None or not theirs else _times(ours / theirs)


Column = tuple[str, Callable[[Mapping[str, Figures]], str]]


def _figures(contenders: Sequence[str], unit: str, name: str) -> list[Column]:
    return [
        (f"{NAMES[contender]}: {unit}", lambda row, contender=contender: _figure(row, contender, name))
        for contender in contenders
    ]


def _ratios(unit: str, name: str, others: Sequence[str]) -> list[Column]:
    return [
        (f"{unit} / {NAMES[other]}", lambda row, other=other: _ratio(row, other, name)) for other in others
    ]


def _columns(kind: str, contenders: Sequence[str]) -> list[Column]:
    processes = [contender for contender in contenders if contender != "bare"]
    peers = [contender for contender in contenders if contender not in ("hookferry", "bare")]
    others = [contender for contender in contenders if contender != "hookferry"]
    match kind:
        case "backlog":
            return [
                *_figures(contenders, "events/s", "per_s"), *_ratios("rate", "per_s", peers),
                *_figures(contenders, "CPU µs", "cpu_us"), *_ratios("CPU", "cpu_us", others),
                *_figures(processes, "peak MB", "peak_mb"),
            ]  # fmt: skip
        case "steady":
            columns = []
            for share in ("p50", "p99", "p99.9"):
                columns += _figures(processes, f"{share} ms", f"{share}_ms")
            columns += _ratios("p99", "p99_ms", peers)
            return columns + _figures(contenders, "CPU µs", "cpu_us") + _ratios("CPU", "cpu_us", peers)
        case "idle":
            return _figures(processes, "% of a core", "cpu_percent") + _figures(
                processes, "peak MB", "peak_mb"
            )
        case _:
            return _figures(processes, "peak MB", "peak_mb")


TITLES = {
    "backlog": "A backlog is delivered",
    "steady": "A steady load, measured from the append at the broker to the arrival at the receiver",
    "waiting": "Memory while a backlog waits",
    "idle": "Nothing happens",
}


def table(result: Result, kind: str) -> list[str]:
    """Return the lines of the table of one kind of cell; none if it was not measured."""
    cells = [row for row in result["cells"] if row["cell"]["kind"] == kind and row["medians"]]
    if not cells:
        return []
    present = {contender for row in cells for contender in row["medians"]}
    columns = _columns(kind, [contender for contender in NAMES if contender in present])
    lines = [
        f"**{TITLES[kind]}**", "",
        "| " + " | ".join(["", *(head for head, _ in columns)]) + " |",
        "|---|" + "---:|" * len(columns),
    ]  # fmt: skip
    for row in cells:
        values = (value(row["medians"]) for _, value in columns)
        lines.append(f"| {row['cell']['label']} | " + " | ".join(values) + " |")
    return [*lines, ""]


def command(quick: bool, only: Sequence[str], base: str | None) -> str:
    """Return the command that measures these cells, against this base."""
    words = ["make bench"] + ["QUICK=1"] * quick
    if only:
        words.append(f'CELLS="{" ".join(only)}"')
    return " ".join([*words, f"BASE={base}"] if base else words)


def markdown(result: Result) -> str:
    """Return all tables, with the facts of the run above and what was left out below."""
    facts = result["machine"]
    lines = [
        f"Measured on {facts['date']} with `{result['command']}`, which took {facts['minutes']:.0f} minutes:"
        f" Hookferry {facts['commit']}, Python {facts['python']}, Apache Kafka {facts['kafka']},"
        f" {facts['cores']} cores ({facts['cpu']}), load {facts['load']:.1f} at the start. Broker, receiver"
        f" ({result['receiver']}) and the measured process share these cores. Medians of {result['rounds']}"
        " rounds in turns.",
        "",
    ]
    for kind in TITLES:
        lines += table(result, kind)
    lines += others.lines(result["others"])
    lines += [f"- Not measured: {text}" for text in result["skipped"]]
    if result["violations"]:
        lines += [f"- **No figure**: {text}" for text in result["violations"]]
    else:
        lines.append("- Every event arrived once and in order of its entity, in every run.")
    return "\n".join(lines) + "\n"


def verdict(compared: Sequence[Comparison], base: str, margin: float) -> str:
    """Return the comparison with a base as text."""
    lines = [f"CPU per event, compared with {base}; above {1 + margin:.2f} is a step back:"]
    lines += [f"  {one.cell:<12}{one.ratio:>6.2f}{'  ROSE' if one.rose else ''}" for one in compared]
    return "\n".join(lines)


def in_short(result: Result) -> str:
    """Return one sentence for the README; without a Go peer, the bare loop is what it compares with."""
    row = next((row for row in result["cells"] if row["cell"]["name"] == "base"), None)
    ours = row["medians"].get("hookferry") if row else None
    if row is None or not ours:
        raise ValueError("the base cell was not measured")
    text = (
        f"A backlog to a receiver that answers at once: {_number(ours['per_s'])} events/s,"
        f" {_number(ours['cpu_us'])} µs of CPU per event."
    )
    for other, name in (
        ("go", "a consumer written by hand in Go"),
        ("bare", "a bare loop over the same transport"),
    ):
        ratio = _ratio(row["medians"], other, "cpu_us")
        if ratio != _NONE:
            text += f" That is {ratio} times the CPU of {name}."
    facts = result["machine"]
    return f"{text} ({facts['date']}, commit {facts['commit']}, {facts['cores']} cores, {facts['cpu']}.)"


def replace_block(page: Path, name: str, text: str) -> None:
    """Write the text between the marks ``<!-- name -->`` and ``<!-- /name -->``. Raises ``NoSuchBlock``."""
    before, begin, rest = page.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not begin or not end:
        raise NoSuchBlock(f"{page}: it needs <!-- {name} --> and <!-- /{name} -->, each on a line")
    page.write_text(before + begin + text.rstrip() + "\n" + end + after)
