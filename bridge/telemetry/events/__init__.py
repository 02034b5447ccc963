"""The names of all log events: ``noun.past_participle``. They are stable: searches and alerts use them.

The first paragraph below each name is what happened, the second is when to worry. The reference page
docs/reference/log-events.md is generated from both.
"""

from bridge.telemetry.events.console import *  # noqa: F403
from bridge.telemetry.events.http import *  # noqa: F403
from bridge.telemetry.events.kafka import *  # noqa: F403
from bridge.telemetry.events.path import *  # noqa: F403
from bridge.telemetry.events.process import *  # noqa: F403
