"""The setup of a run: command line, endpoints and pods."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults import side_topic
from tests.faults.confines import SLOW_NAME
from tests.faults.names import GROUP, TOPIC
from tests.faults.plan import PATHS, WEIGHTS
from tests.faults.producer import TYPES
from tests.faults.stage import Stage
from tests.faults.verify import Endpoint
from tests.support.bridge_process import plain_config
from tests.support.ports import free_port

SESSION_S = 6.0
TIMEOUT_S = 2.0
COMMIT_S = 0.2
FULL_DISK_POD = 1
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENT = {"base_s": 0.1, "cap_s": 1.0, "max_attempts": 1000}
NOBODY_LISTENS = ("dead", "down", "unnamed")
"""Down for the whole run: their events are parked or wait as lag, and none may be lost."""
SIDE = "side"
"""The endpoint of the second topic, which is counted by itself."""


def endpoint_configs(stage: Stage, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the configuration of the endpoints, by name."""
    common = {
        "secrets": [SECRET], "timeout_s": TIMEOUT_S, "concurrency": 64, "park_limit": "off",
        "start": "latest", "topics": [TOPIC],
    }  # fmt: skip
    known: dict[str, dict[str, Any]] = {
        **{path[1:]: {"url": stage.witness.url(path), "retry": PATIENT} for path in PATHS},
        "dead": {
            "url": f"http://127.0.0.1:{free_port()}/",
            "events": [TYPES[3]],
            "retry": {"base_s": 0.05, "cap_s": 0.1, "max_attempts": 2},
            "breaker": {"failures": 10_000, "window_s": 1},  # events are parked instead of waiting
        },
        "down": {"url": f"http://127.0.0.1:{free_port()}/", "events": [TYPES[2]], "retry": PATIENT},
        "unnamed": {"url": f"http://{SLOW_NAME}/", "events": [TYPES[2]], "retry": PATIENT},
        SIDE: {"url": stage.witness.url(side_topic.PATH), "topics": [side_topic.NAME], "retry": PATIENT},
        "returning": {"url": stage.witness.url("/returning"), "events": [TYPES[1]], "retry": PATIENT},
    }
    return {name: common | known[name] for name in options.endpoints.split(",")}


def endpoints_to_count(stage: Stage, configs: dict[str, dict[str, Any]]) -> list[Endpoint]:
    """Return the same endpoints as the count needs them."""
    return [
        Endpoint(
            name,
            None if name in NOBODY_LISTENS else stage.witness.paths.index(f"/{name}"),
            tuple(config.get("events", TYPES)),
            may_park=name in NOBODY_LISTENS,
        )
        for name, config in configs.items()
        if name != SIDE
    ]


def pod_config(
    bootstrap: str, number: int, endpoints: dict[str, dict[str, Any]], options: argparse.Namespace
) -> dict[str, Any]:
    """Return the configuration of one pod; every second one has a configured name in the group."""
    config = plain_config(
        bootstrap, TOPIC, endpoints, group=GROUP, commit_interval_s=COMMIT_S,
        drain_timeout_s=5, history={"bodies": "none"},
        log={"attempts": options.log_attempts},
    )  # fmt: skip
    config["sources"]["orders"]["topics"].append(side_topic.NAME)
    config["kafka"] |= {
        "session_timeout_s": SESSION_S,
        "heartbeat_interval_s": 0.5,
        "rebalance_timeout_s": 10,
    }
    if has_configured_name(number):
        config["kafka"]["group_instance_id"] = f"pod-{number}"
    return config


def has_configured_name(pod: int) -> bool:
    """Return True if a pod has a configured name, False if it has the default name, which its disk keeps."""
    return pod % 2 == 1


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Inject every kind of fault for a while, then compare the deliveries with the log."
    )
    parser.add_argument("--seconds", type=float, default=1800, help="duration of the faults")
    parser.add_argument(
        "--events", type=int, default=500_000, help="number of events, published evenly over that time"
    )
    parser.add_argument("--faults", type=int, default=80)
    parser.add_argument(
        "--seed", type=int, default=None, help="seed of plan and events; drawn and printed if absent"
    )
    parser.add_argument("--bridges", type=int, default=3, choices=(2, 3, 4))
    parser.add_argument("--entities", type=int, default=400)
    parser.add_argument("--partitions", type=int, default=6)
    parser.add_argument("--memory", type=int, default=512, help="memory limit of each bridge in MiB")
    parser.add_argument("--duplicates", type=float, default=0.05)
    parser.add_argument(
        "--endpoints", default="healthy,flaky,slow,dead,down,unnamed,side",
        help="dead: all events are parked; down: its breaker is open; unnamed: the DNS server never answers"
        " for its name; side: the topic that is deleted and created again; returning: down until the faults"
        " end",
    )  # fmt: skip
    parser.add_argument(
        "--repeats", choices=("in-flight", "since-commit"), default="in-flight",
        help="what a kill may repeat on the same disk (see tests/faults/explain.py)",
    )  # fmt: skip
    parser.add_argument("--only", nargs="+", default=(), choices=WEIGHTS, help="only these kinds of faults")
    parser.add_argument("--without", nargs="+", default=(), choices=WEIGHTS, help="not these kinds")
    parser.add_argument(
        "--drain-seconds", type=float, default=180, help="time to deliver the rest after the faults"
    )
    parser.add_argument("--log-attempts", choices=("all", "failures"), default="all")
    parser.add_argument(
        "--show", type=int, default=3, help="violations of each kind to print with a timeline"
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder, whatever the result")
    parser.add_argument("--json", type=Path, default=Path("build/faults.json"))
    return parser.parse_args(words)
