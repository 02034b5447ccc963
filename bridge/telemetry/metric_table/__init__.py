"""All metrics in one table, from which the reference page docs/reference/metrics.md is generated.

Labels are bounded: endpoint, source, verdict, outcome; never an entity or event.
"""

from typing import Final

from bridge.telemetry.metric_table import delivery, intake, process
from bridge.telemetry.metric_table.spec import MetricSpec

TABLE: Final[tuple[MetricSpec, ...]] = (*intake.TABLE, *delivery.TABLE, *process.TABLE)
"""In the order of an event's way."""
