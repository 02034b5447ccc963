"""Settings of the receivers: where, which events, how fast, how often again. Pure models.

Everything a URL, header or proxy address may carry is secret, hence ``SecretStr`` and masked
messages; ``EndpointSettings.target.origin`` is what may be shown.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, WithJsonSchema

from bridge.settings.models.base import Name, Seconds, Section, Whole
from bridge.settings.models.receiver import PresetSettings
from bridge.settings.models.values import (
    START_WORDS,
    event_pattern,
    instant_ms,
    parse_rate,
    rate,
    signing_key,
    split_url,
    start_place,
)


def _proxy(value: SecretStr) -> SecretStr:
    split_url(value.get_secret_value())
    return value


def _secret(value: SecretStr) -> SecretStr:
    signing_key(value.get_secret_value())
    return value


ProxyUrl = Annotated[SecretStr, AfterValidator(_proxy)]
SigningSecret = Annotated[SecretStr, AfterValidator(_secret)]
Start = Annotated[
    str,
    AfterValidator(start_place),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "enum": [*START_WORDS]}, {"type": "string", "format": "date-time"}]}
    ),
]
EventPattern = Annotated[str, AfterValidator(event_pattern)]
Patterns = Annotated[tuple[EventPattern, ...], Field(min_length=1, max_length=1000)]
RecordHeaderName = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Rate = Annotated[str, AfterValidator(rate)]


class RetrySettings(Section):
    """When a failed attempt is made again, and when to give up and park the event."""

    base_s: Seconds = Field(
        default=1.0,
        ge=0.01,
        le=3600,
        description="Bound of the first delay; it doubles with every attempt. The delay is drawn below it.",
    )
    cap_s: Seconds = Field(default=600.0, ge=0.01, le=86_400, description="The longest delay of that kind.")
    retry_after_cap_s: Seconds = Field(
        default=86_400.0,
        ge=1,
        le=2_592_000,
        description="The longest wait a receiver can ask for with Retry-After, which is kept to the second"
        " when it is longer than the own delay; on 429, 502, 503 and 504 the whole endpoint waits.",
    )
    max_attempts: Whole = Field(
        default=20, ge=1, le=1000, description="Attempts in all before the event is parked."
    )
    max_age_s: Seconds = Field(
        default=259_200.0,
        ge=1,
        le=2_592_000,
        description="Age since the first attempt at which the event is parked, however few attempts it had.",
    )


class BreakerSettings(Section):
    """When to stop sending to an endpoint that is down, and how to find out that it is back."""

    failures: Whole = Field(
        default=10,
        ge=1,
        le=10_000,
        description="Failures (5xx, no connection, no answer in time) within window_s that stop it, if they"
        " are also half of all answers there.",
    )
    window_s: Seconds = Field(default=30.0, ge=1, le=3600, description="Time over which they are counted.")
    open_s: Seconds = Field(
        default=5.0,
        ge=0.1,
        le=3600,
        description="Time until one request probes it; doubles with every probe that fails.",
    )
    max_open_s: Seconds = Field(
        default=300.0, ge=0.1, le=86_400, description="The longest time between two probes."
    )


class EndpointSettings(PresetSettings):
    """One receiver of webhooks."""

    events: tuple[EventPattern, ...] = Field(
        default=("*",),
        min_length=1,
        description="Event types to send, by name or by pattern (* ? [abc]), case-sensitive; ! excludes."
        " Left out: everything; with preset fineract-hook, what the old hooks had a name for.",
    )
    sources: tuple[Name, ...] | None = Field(
        default=None, min_length=1, description="Names of the sources to send from; without it all of them."
    )
    topics: tuple[EventPattern, ...] = Field(
        default=("*",), min_length=1, description="Topics to send from, by name or pattern; ! excludes."
    )
    tenants: tuple[EventPattern, ...] = Field(
        default=("*",),
        min_length=1,
        description="Tenants to send for, by name or pattern; ! excludes. An event without one counts as"
        " empty text, which * matches and ?* does not.",
    )
    record_headers: dict[RecordHeaderName, Patterns] = Field(
        default={},
        max_length=64,
        description="Kafka record headers that must match: name and patterns, such as {region: [eu-*]}; !"
        " excludes. All of them have to; a header that is not there counts as empty text.",
    )
    when: str | None = Field(
        default=None,
        description="Filter on what is in the event, asked last: data.amount > 1000 and data.currency.code"
        ' == "USD". See docs/how-to/routing.md.',
    )
    secrets: tuple[SigningSecret, ...] = Field(
        default=(),
        max_length=10,
        description="Standard Webhooks signing secrets (whsec_ and base64 of 24 to 64 bytes). Several during"
        " a rotation: a request is signed with each. Empty: requests are not signed.",
    )
    concurrency: Whole = Field(
        default=64,
        ge=1,
        le=10_000,
        description="Requests in flight at once to this endpoint, per pod. One entity never has two.",
    )
    rate: tuple[Rate, ...] = Field(
        default=(),
        max_length=8,
        description="Requests the receiver allows, by all pods together: 4/1s is four in any second. Several"
        " hold at once: [4/1s, 60/30s, 100/1h]. Units s, m, h, d. Left out: what the preset knows. Empty: as"
        " fast as it answers.",
    )
    timeout_s: Seconds = Field(
        default=15.0,
        ge=0.1,
        le=600,
        description="Time for one attempt from connect to the last byte; at most drain_timeout_s.",
    )
    start: Start = Field(
        default="latest",
        description="Where an endpoint without a committed place begins: latest (new events), earliest (the"
        " oldest ones), or the first record at or after an instant (RFC 3339, such as 2026-06-29T08:15:30Z).",
    )
    window: Whole = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="Events held per partition that can be sent or are; beyond it reading goes on without"
        " this endpoint. What waits behind a failed event of its entity counts apart: at most four windows of"
        " all together.",
    )
    window_bytes: Whole = Field(
        default=33_554_432,
        ge=65_536,
        le=17_179_869_184,
        description="Bound of all events held per partition, in bytes of record values.",
    )
    proxy: ProxyUrl | None = Field(
        default=None, description="http or https URL of a proxy for this endpoint's requests."
    )
    allow_http: bool = Field(
        default=False,
        description="Accept a plain http URL to a host that is neither loopback nor in egress.allow. For"
        " demos and tests: bodies and headers then travel unencrypted.",
    )
    retry: RetrySettings = Field(
        default_factory=RetrySettings, description="When to try again, and when to give up."
    )
    on_park: Literal["continue", "hold"] = Field(
        default="continue",
        description="After an event was parked: continue with the later ones of its entity, or hold them:"
        " they are parked behind it, in order, until it is redriven or discarded.",
    )
    breaker: BreakerSettings = Field(
        default_factory=BreakerSettings, description="When to stop sending, and how to begin again."
    )

    @property
    def rate_windows(self) -> tuple[tuple[int, float], ...]:
        """The rate as requests and the seconds they may go in; the preset's where none is set."""
        texts = self.rate if "rate" in self.model_fields_set else self.chosen.rates(self.target)
        return tuple(parse_rate(text) for text in texts)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The event types to send, by pattern; the preset's where none are set."""
        return self.events if "events" in self.model_fields_set else self.chosen.events

    @property
    def start_at(self) -> Literal["latest", "earliest"] | int:
        """Where it begins; an instant in Unix milliseconds."""
        if self.start == "latest" or self.start == "earliest":  # noqa: PLR1714 - mypy narrows by ==
            return self.start  # type: ignore[return-value]
        at_ms = instant_ms(self.start)
        assert at_ms is not None, "it was validated"
        return at_ms

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        """The decoded signing secrets, in the order given."""
        return tuple(signing_key(secret.get_secret_value()) for secret in self.secrets)
