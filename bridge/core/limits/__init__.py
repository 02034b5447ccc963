"""The limits of one endpoint: how many requests per second, how many at once, and whether any at all.

Before a request, the dispatcher calls only ``Gate``. It combines the configured rate (``windows``), what an
overloaded receiver can take (``adaptive_limit``) and the breaker (``breaker``).
``park_limit`` limits the dead letters. Pure and synchronous:
callers pass instants, in seconds of a clock that never goes back.
"""

from bridge.core.limits.adaptive_limit import AdaptiveLimit
from bridge.core.limits.breaker import Breaker, BreakerState
from bridge.core.limits.gate import Gate
from bridge.core.limits.park_limit import ParkLimit
from bridge.core.limits.windows import RateWindows

__all__ = ["AdaptiveLimit", "Breaker", "BreakerState", "Gate", "ParkLimit", "RateWindows"]
