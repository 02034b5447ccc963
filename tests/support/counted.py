"""Read metrics in a test: the sum of the series that have some labels."""

from __future__ import annotations

from bridge.telemetry.metrics import Metrics


def counted(metrics: Metrics, name: str, **labels: str) -> float:
    """Return the sum of all samples ``hookferry_<name>`` that have these labels."""
    wanted = labels.items()
    return sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == f"hookferry_{name}" and wanted <= sample.labels.items()
    )
