"""What the published benchmark writes: the tables, the plot, and its part of a page."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.bench.compare import plot, report
from tests.bench.compare.cells import FULL, Cell
from tests.bench.compare.judging import Comparison

ROOT = Path(__file__).parents[3]
CELLS = {cell.name: cell for cell in FULL}
SVG = "{http://www.w3.org/2000/svg}"


def row(cell: Cell, **medians: dict[str, float]) -> dict[str, Any]:
    return {"cell": dataclasses.asdict(cell), "medians": medians, "runs": {}}


def result(*cells: dict[str, Any], **changes: Any) -> dict[str, Any]:
    machine = {
        "date": "2026-11-27", "commit": "abc1234", "python": "3.11.7", "kafka": "3.9.1", "cores": 2,
        "cpu": "AMD <EPYC>", "load": 0.2, "minutes": 41.2,
    }  # fmt: skip
    return {
        "command": "make bench", "machine": machine, "receiver": "in Go", "rounds": 3, "cells": list(cells),
        "others": {}, "skipped": [], "violations": [],
    } | changes  # fmt: skip


BACKLOG = row(
    CELLS["base"],
    hookferry={"per_s": 9_000, "cpu_us": 90, "peak_mb": 120},
    go={"per_s": 10_000, "cpu_us": 75, "peak_mb": 50},
    bare={"per_s": 30_000, "cpu_us": 30},
)
STEADY = row(
    CELLS["2000-per-s"],
    hookferry={"p50_ms": 3, "p99_ms": 12, "p99.9_ms": 30, "cpu_us": 200},
    go={"p50_ms": 2, "p99_ms": 10, "p99.9_ms": 20, "cpu_us": 180},
)


def cells_of(text: str, label: str) -> dict[str, str]:
    """Return a row of a table by its heads."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    place = next(number for number, line in enumerate(lines) if line[0] == label)
    head = next(lines[number - 1] for number in range(place, 0, -1) if lines[number][0].startswith("---"))
    return dict(zip(head, lines[place][1:], strict=True))


def test_a_table_has_figures_and_ratios_to_both_others() -> None:
    found = cells_of(report.markdown(result(BACKLOG)), "receiver at once")
    assert found == {
        "bare loop: events/s": "30,000", "Go peer: events/s": "10,000", "Hookferry: events/s": "9,000",
        "rate / Go peer": "0.90", "bare loop: CPU µs": "30.0", "Go peer: CPU µs": "75.0",
        "Hookferry: CPU µs": "90.0", "CPU / bare loop": "3.00", "CPU / Go peer": "1.20",
        "Go peer: peak MB": "50.0", "Hookferry: peak MB": "120",
    }  # fmt: skip


def test_the_steady_table_has_the_latencies() -> None:
    found = cells_of(report.markdown(result(BACKLOG, STEADY)), "2,000 events/s")
    assert (found["Hookferry: p99 ms"], found["p99 / Go peer"], found["CPU / Go peer"]) == (
        "12.0",
        "1.20",
        "1.11",
    )


def test_what_no_row_shows_has_a_line_each() -> None:
    others = {
        "1000-endpoints": {
            "ready_s": 10.9, "start_cpu_s": 8.4, "rest_mb": 255.2, "rest_cpu": 0.017, "loaded_mb": 343.0,
            "cpu_us": 881.0, "commits_per_s": 2.1,
        },
        "batches": {"single": [(6_000, 130), (5_000, 150), (6_500, 140)], "batches": [(15_000, 70)]},
        "wide-record": {"values": 600, "whole_us": 460.4, "ten_fields_us": 118.2, "fastavro_us": 700.0},
    }  # fmt: skip
    text = report.markdown(result(BACKLOG, others=others))
    assert (
        "| 1,000 endpoints over 100 partitions | ready after 10.9 s (8.4 s of CPU); at rest 255 MB and 1.7%"
        " of a core; under load 343 MB, 881 µs per delivery, 2 commits per second |"
    ) in text
    assert "15,000 events/s and 70 µs of CPU per event; single requests 6,000 and 140 µs: 2.5 times" in text
    assert "the rate, 0.50 of the CPU |" in text
    assert "118 µs of CPU for ten fields, 460 µs for all 600 values; fastavro alone 700 µs |" in text


def test_what_was_not_measured_is_a_dash_and_named() -> None:
    other = row(CELLS["tls"], hookferry={"per_s": 5_000, "cpu_us": 150, "peak_mb": 120})
    text = report.markdown(result(BACKLOG, other, skipped=["the Go peer: it ended"]))
    found = cells_of(text, "TLS")
    assert (found["Go peer: events/s"], found["CPU / Go peer"], found["Hookferry: events/s"]) == (
        "-",
        "-",
        "5,000",
    )
    assert "- Not measured: the Go peer: it ended\n" in text


def test_without_go_the_tables_have_no_column_for_it() -> None:
    only = row(CELLS["base"], hookferry={"per_s": 1_000, "cpu_us": 90, "peak_mb": 1}, bare={"cpu_us": 45.0})
    found = cells_of(report.markdown(result(only)), "receiver at once")
    assert not [head for head in found if "Go" in head]
    assert found["CPU / bare loop"] == "2.00"


def test_a_violation_is_shown_in_place_of_the_promise() -> None:
    good = report.markdown(result(BACKLOG))
    bad = report.markdown(result(BACKLOG, violations=["base-hookferry-0: repeats 1"]))
    assert "Every event arrived once and in order" in good
    assert "Every event arrived once" not in bad
    assert "**No figure**: base-hookferry-0: repeats 1" in bad


def test_the_facts_of_the_run_are_above_the_tables() -> None:
    first = report.markdown(result(BACKLOG)).splitlines()[0]
    for fact in (
        "2026-11-27",
        "`make bench`",
        "41 minutes",
        "abc1234",
        "3.11.7",
        "3.9.1",
        "2 cores",
        "load 0.2",
        "in Go",
    ):
        assert fact in first


@pytest.mark.parametrize(
    ("quick", "only", "base", "words"),
    [
        (False, [], None, "make bench"),
        (True, [], "main", "make bench QUICK=1 BASE=main"),
        (False, ["base", "tls"], None, 'make bench CELLS="base tls"'),
    ],
)
def test_the_command_above_the_tables_measures_these_cells(
    quick: bool, only: list[str], base: str | None, words: str
) -> None:
    assert report.command(quick, only, base) == words


def test_the_sentence_for_the_readme_compares_the_base_cell() -> None:
    text = report.in_short(result(BACKLOG, STEADY))
    assert "9,000 events/s, 90.0 µs" in text
    assert "1.20 times the CPU of a consumer written by hand in Go" in text
    with pytest.raises(ValueError, match="base cell"):
        report.in_short(result(STEADY))


def test_the_verdict_names_the_cells_that_became_more_expensive() -> None:
    text = report.verdict([Comparison("base", 1.04, False), Comparison("5-ms", 1.3, True)], "main", 0.1)
    assert [line.split() for line in text.splitlines()[1:]] == [["base", "1.04"], ["5-ms", "1.30", "ROSE"]]


def test_only_the_block_of_a_page_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures -->\nold\n<!-- /figures -->\nafter\n")
    for _ in range(2):
        report.replace_block(page, "figures", "new\n")
    assert page.read_text() == "before\n<!-- figures -->\nnew\n<!-- /figures -->\nafter\n"


def test_a_page_without_the_marks_is_not_changed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- figures -->\nno end\n")
    with pytest.raises(report.NoSuchBlock, match=r"page\.md: it needs"):
        report.replace_block(page, "figures", "new")
    assert page.read_text() == "<!-- figures -->\nno end\n"


@pytest.mark.parametrize("page", ["README.md", "docs/explanation/speed.md"])
def test_the_pages_have_the_block_that_a_run_writes(page: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.md"
    copy.write_text((ROOT / page).read_text())
    report.replace_block(copy, "figures", "new figures")
    assert "\nnew figures\n" in copy.read_text()


def bars(picture: str) -> dict[str, list[float]]:
    """Return the widths of the bars, without those of the legend."""
    found: dict[str, list[float]] = {}
    for shape in ET.fromstring(picture).iter(f"{SVG}rect"):
        if float(shape.get("y", 0)) > 40:
            found.setdefault(shape.get("class", ""), []).append(float(shape.get("width", 0)))
    return found


def test_the_bars_of_a_row_are_in_proportion() -> None:
    found = bars(plot.plot(result(BACKLOG)))
    rate, cpu = 0, 1
    assert found["go"][rate] / found["bare"][rate] == pytest.approx(1 / 3, rel=0.01)
    assert found["hookferry"][cpu] / found["go"][cpu] == pytest.approx(1.2, rel=0.01)
    assert found["hookferry"][cpu] == max(width for widths in found.values() for width in widths)


def test_no_bar_or_number_reaches_over_the_edge() -> None:
    picture = ET.fromstring(plot.plot(result(BACKLOG, STEADY)))
    for shape in picture.iter(f"{SVG}rect"):
        assert float(shape.get("x", 0)) + float(shape.get("width", 0)) <= plot.WIDTH
    for text in picture.iter(f"{SVG}text"):
        if text.get("text-anchor") == "start":
            assert float(text.get("x", 0)) + len(text.text or "") * 7 <= plot.WIDTH
        else:
            assert float(text.get("x", 0)) - len(text.text or "") * 6 >= 0


def test_every_label_of_a_cell_fits_into_the_plot() -> None:
    drawn = [
        row(cell, hookferry={"per_s": 1, "cpu_us": 1, "p99_ms": 1})
        for cell in FULL
        if cell.kind in ("backlog", "steady")
    ]
    picture = ET.fromstring(plot.plot(result(*drawn)))
    labels = [text for text in picture.iter(f"{SVG}text") if text.get("text-anchor") == "end"][1:]
    assert [text.text for text in labels] == [one["cell"]["label"] for one in drawn]
    assert all(len(text.text or "") * 5.8 < float(text.get("x", 0)) for text in labels)


def test_the_plot_has_colors_for_light_and_dark_themes() -> None:
    picture = plot.plot(result(BACKLOG))
    assert "prefers-color-scheme: dark" in picture
    kinds = {shape.get("class") for shape in ET.fromstring(picture).iter() if shape.get("class")}
    light, _, dark = picture.partition("@media")
    assert all(f".{kind} {{" in light and f".{kind} {{" in dark for kind in kinds)


def test_without_figures_the_plot_names_the_command_and_has_no_bar() -> None:
    picture = plot.plot({"cells": []})
    assert "No figures yet: run make bench." in picture
    assert set(bars(picture)) == set()
