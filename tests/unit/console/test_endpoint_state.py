"""What the console shows of one endpoint, put together from what is known of it."""

from __future__ import annotations

from pydantic import SecretStr

from bridge.console.endpoint_state import endpoint_state
from bridge.console.state_views import PodRow
from bridge.console.store.endpoint_stats import EndpointStats
from bridge.core.lag import Backlog
from bridge.core.switches import Switch
from bridge.settings.models.endpoints import EndpointSettings

ON = Switch(True)
NOW_S = 1_000.0


def pod(name: str, **report: object) -> PodRow:
    return PodRow(name, NOW_S, "hash", details={"endpoints": {"crm": report}})


def test_of_several_pods_the_worst_breaker_counts_and_their_rates_add_up() -> None:
    pods = [
        pod("a", breaker="closed", rate_per_s=2.0),
        pod("b", breaker="half-open", rate_per_s=3.0, slow="429"),
        PodRow("c", NOW_S, "hash", details={"endpoints": "a report of another version"}),
    ]
    state = endpoint_state("crm", None, ON, EndpointStats(), None, pods, NOW_S)
    assert (state.breaker, state.limit, state.slow_because) == ("half-open", "5 requests/s", "429")
    other = endpoint_state("shop", None, ON, EndpointStats(), None, pods, NOW_S)
    assert (other.breaker, other.limit, other.slow_because) == (None, None, None)


def test_of_a_url_only_scheme_and_host_are_shown() -> None:
    settings = EndpointSettings(url=SecretStr("https://hooks.example.com/services/T0/B0/secret"))
    state = endpoint_state("crm", settings, ON, EndpointStats(), None, [], NOW_S)
    assert state.url == "https://hooks.example.com"
    assert state.configured


def test_an_age_is_never_negative_and_an_unknown_lag_stays_unknown() -> None:
    ahead = Backlog(1, "at least", oldest_ms=int(NOW_S * 1000) + 5_000)  # the producer's clock is ahead
    state = endpoint_state("crm", None, ON, EndpointStats(), ahead, [], NOW_S)
    assert (state.lag_events, state.lag_bound, state.oldest_s) == (1, "at least", 0.0)
    unknown = endpoint_state("crm", None, ON, EndpointStats(), None, [], NOW_S)
    assert (unknown.lag_events, unknown.oldest_s) == (None, None)
