"""What a row of the table of metrics contains.

Invariant: a label has the names of the configuration as its values, or a fixed list, or one constant value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple


class MetricSpec(NamedTuple):
    """One metric: what it is, when an operator should worry, and the values each of its labels can have.

    ``values`` are the values of each label that has a fixed list; all its series exist from the start.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    worry: str
    labels: Mapping[str, str] = {}
    values: Mapping[str, tuple[str, ...]] = {}


ENDPOINT: Final = {"endpoint": "the endpoint's name"}
SOURCE: Final = {"source": "the source's name"}
