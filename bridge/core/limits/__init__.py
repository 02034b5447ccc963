"""The limits of an endpoint as a whole: how fast, how many at once, and whether at all just now.

``Pace`` is what the outlet asks; behind it stand the configured rate (``windows``), the slow-down
that a receiver asks for (``slow_down``) and the breaker (``breaker``). Rule floor, pure and
synchronous: instants are handed in, in seconds of a clock that never goes back.
"""

from bridge.core.limits.breaker import Breaker, BreakerState
from bridge.core.limits.pace import Pace
from bridge.core.limits.slow_down import SlowDown
from bridge.core.limits.windows import RateWindows

__all__ = ["Breaker", "BreakerState", "Pace", "RateWindows", "SlowDown"]
