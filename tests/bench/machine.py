"""What a figure depends on besides the code: the machine, its load, and the versions next to the bridge."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from tests.support.kafka_jars import KAFKA_VERSION


def machine() -> dict[str, Any]:
    """Return the machine as it is now, and the versions."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": names[0] if names else platform.machine(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
    }
