"""Find everything that can be found in a configuration without a connection. For ``hookferry check``.

Invariant: a mistake in one part hides no mistake in another. Where a value is wrong, a stand-in takes its
place for the checks that follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bridge.errors import ConfigError
from bridge.preflight import files
from bridge.preflight.filter_fields import check_filter_fields
from bridge.preflight.templates import check_templates
from bridge.preflight.warnings import WARNINGS
from bridge.settings import Settings
from bridge.settings.load import Reading, read, to_lines, written_in
from bridge.settings.problem import Problem
from bridge.wiring.decoders import build_decoders, build_registries


class Examined(NamedTuple):
    """The mistakes and warnings, in file order. ``unplaced`` are mistakes that have no place in the file.

    ``settings`` are those without the values that have mistakes; None if too much is wrong.
    """

    reading: Reading
    settings: Settings | None
    problems: list[Problem]
    unplaced: list[str]
    warnings: list[Problem]

    @property
    def lines(self) -> list[str]:
        """The mistakes, one line each."""
        return [*to_lines(self.problems), *self.unplaced]


def examine(path: Path, environ: Mapping[str, str]) -> Examined:
    """Read the settings, and try their files, templates and filters."""
    reading = read(path, environ, files.RULES)
    problems, unplaced = list(reading.problems), list[str]()
    if reading.tree is None:
        return Examined(reading, None, problems, [], [])
    settings = reading.repaired()
    try:
        if reading.settings is not None:
            build_registries(reading.settings.sources, build_decoders(reading.settings).by_source)
        if settings is not None:
            problems += check_templates(settings, reading.tree.place)
            problems += check_filter_fields(settings, reading.tree)
    except ConfigError as exc:
        unplaced += exc.problems
    raw = written_in(path)
    warnings = [problem for rule in WARNINGS for problem in rule(reading.tree, raw)]
    for found in (problems, warnings):
        found.sort(key=lambda problem: (problem.place.line == 0, problem.place))
    return Examined(reading, settings, problems, unplaced, warnings)
