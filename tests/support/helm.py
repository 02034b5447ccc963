"""The helm of the tests of the chart.

HELM names it; else it is the one that `make chart-tools` built; else one on the PATH.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

_BUILT = Path(__file__).resolve().parents[2] / "build" / "chart-tools" / "helm"
HELM = os.environ.get("HELM") or (str(_BUILT) if _BUILT.exists() else "helm")
needs_helm = pytest.mark.skipif(
    shutil.which(HELM) is None, reason="chart: no helm on PATH, and none built by make chart-tools"
)
