"""Settings of the receivers: URL, events, rate, limits. Pure models.

URLs, headers and proxy addresses may contain secrets. They are ``SecretStr`` and never appear in messages;
only ``EndpointSettings.target.origin`` may be shown.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
)

from bridge.core.instant import instant_ms
from bridge.core.signing import SigningKey
from bridge.core.signing.forms import Form
from bridge.settings.models.base import Name, Seconds, Whole
from bridge.settings.models.batch import SendingSettings
from bridge.settings.models.failures import BreakerSettings, ParkLimit, ParkLimitSettings, RetrySettings
from bridge.settings.models.signature_failures import SignatureFailureSettings
from bridge.settings.models.signing import SigningSettings
from bridge.settings.models.values import (
    START_WORDS,
    event_pattern,
    parse_rate,
    proxy_url,
    rate,
    source_address,
    start_place,
)


def _proxy(value: SecretStr) -> SecretStr:
    proxy_url(value.get_secret_value())
    return value


ProxyUrl = Annotated[SecretStr, AfterValidator(_proxy)]
SourceAddress = Annotated[str, AfterValidator(source_address)]
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


class EndpointSettings(SendingSettings):
    """One receiver of webhooks."""

    events: tuple[EventPattern, ...] = Field(
        default=("*",),
        min_length=1,
        description="Event types to send, as names or patterns (* ? [abc]); case-sensitive. A ! in front"
        " excludes, and a list must not only exclude. Default: all types; with preset fineract-hook, the"
        " types that the old hooks had.",
    )
    sources: tuple[Name, ...] | None = Field(
        default=None,
        min_length=1,
        description="Names of the sources whose events are sent. Default: all sources.",
    )
    topics: tuple[EventPattern, ...] = Field(
        default=("*",),
        min_length=1,
        description="Topics whose events are sent, as names or patterns; a ! in front excludes.",
    )
    tenants: tuple[EventPattern, ...] = Field(
        default=("*",),
        min_length=1,
        description="Tenants whose events are sent, as names or patterns; a ! in front excludes. An event"
        " without a tenant counts as empty text, which * matches and ?* does not.",
    )
    record_headers: dict[RecordHeaderName, Patterns] = Field(
        default={},
        max_length=64,
        description="Kafka record headers that must match, as names with patterns: {region: [eu-*]}; a !"
        " in front excludes. All of them must match. A header that a record does not have counts as empty"
        " text.",
    )
    when: str | None = Field(
        default=None,
        description="Filter on the content of an event, evaluated after all other filters: data.amount >"
        ' 1000 and data.currency.code == "USD". See docs/how-to/routing.md.',
    )
    secrets: tuple[SecretStr, ...] = Field(
        default=(),
        max_length=10,
        description="Signing keys of Standard Webhooks, the short form of signing: whsec_ and base64 of 24"
        " to 64 bytes, or whsk_ for Ed25519. During a rotation, list the new one and the old one: each"
        " request is signed with all of them. Empty, and without signing: requests are not signed.",
    )
    signing: SigningSettings | None = Field(
        default=None,
        description="How requests are signed, if secrets is not enough: keys that begin or end by themselves,"
        " and the forms of other senders, such as github. See docs/how-to/signing.md.",
    )
    signature_failures: SignatureFailureSettings = Field(
        default_factory=SignatureFailureSettings,
        description="Which answers complain of the signature, as after a rotation that the receiver has not"
        " made. The metric hookferry_signature_failures_total counts them; the log names the newest key.",
    )
    concurrency: Whole = Field(
        default=64,
        ge=1,
        le=10_000,
        description="Requests in flight at once to this endpoint, per pod. One entity never has two at once.",
    )
    rate: tuple[Rate, ...] = Field(
        default=(),
        max_length=8,
        description="Requests that the receiver allows, by all pods together: 4/1s is four in any one"
        " second. Several limits apply together: [4/1s, 60/30s, 100/1h]. Units are s, m, h, d. Default: the"
        " limits of the preset. Empty: no limit.",
    )
    timeout_s: Seconds = Field(
        default=15.0,
        ge=0.1,
        le=600,
        description="Time for one attempt in seconds, from connecting to the last byte of the answer."
        " Then the attempt has failed and is retried. At most drain_timeout_s.",
    )
    start: Start = Field(
        default="latest",
        description="Where a new endpoint starts: latest (only new events), earliest (the oldest events), or"
        " the first record at or after an instant (RFC 3339, such as 2026-06-29T08:15:30Z). Counts once, when"
        " the endpoint begins. Topics and partitions that appear later are read from their first record.",
    )
    on_lost_offset: Literal["earliest", "latest", "stop"] = Field(
        default="earliest",
        description="Where an endpoint continues in a partition if its position was known and is gone: the"
        " committed offset expired or was deleted, or the topic was deleted and created again. earliest: at"
        " the first record; nothing is lost, and some events may be sent again. latest: at the end. stop:"
        " the endpoint is turned off, and waits at the first record.",
    )
    window: Whole = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="Events per partition that may wait or be in flight for this endpoint. When it is"
        " full, the other endpoints read on without this one, which catches up through a consumer of its"
        " own. Events that wait for a failed event of their entity do not count here; all events together"
        " are limited to four times this number. memory_budget may end it earlier.",
    )
    window_bytes: Whole = Field(
        default=33_554_432,
        ge=65_536,
        le=17_179_869_184,
        description="Bytes of records (keys, values and headers) per partition that may wait for this"
        " endpoint. When it is full, the endpoint is treated as with window. It is an upper limit for one"
        " partition; memory_budget limits all partitions and endpoints together, by what events really use.",
    )
    proxy: ProxyUrl | None = Field(
        default=None,
        description="http or https URL of a proxy for the requests to this endpoint, with user and password"
        " if it requires them. A proxy on a private address must be in egress.proxies.",
    )
    source_address: SourceAddress | None = Field(
        default=None,
        description="Address of this machine that connections to this endpoint come from, for a receiver that"
        " accepts only known addresses. Default: the system chooses.",
    )
    allow_http: bool = Field(
        default=False,
        description="Accept a plain http URL to a host that is neither loopback nor in egress.allow. For"
        " demos and tests only: bodies and headers are then sent unencrypted.",
    )
    retry: RetrySettings = Field(
        default_factory=RetrySettings,
        description="When a failed attempt is repeated, and when the event is parked.",
    )
    on_park: Literal["continue", "hold"] = Field(
        default="continue",
        description="What happens to later events of an entity after one of its events was parked."
        " continue: they are delivered. hold: they are parked after it, in order, until it is redriven or"
        " discarded.",
    )
    park_limit: ParkLimit = Field(
        default_factory=ParkLimitSettings,
        description="When so many events are parked for one cause that the endpoint is turned off instead, as"
        " after a wrong template or secret. The events wait, and hookferry endpoints on sends them. off: no"
        " limit. Events that are sent again, and events parked after all retries, do not count.",
    )
    breaker: BreakerSettings = Field(
        default_factory=BreakerSettings,
        description="When to stop sending to an endpoint that is down, and how to start again.",
    )

    @property
    def rate_windows(self) -> tuple[tuple[int, float], ...]:
        """The rate as numbers of requests and seconds; the preset's if none is set."""
        texts = self.rate if "rate" in self.model_fields_set else self.chosen.rates(self.target)
        return tuple(parse_rate(text) for text in texts)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The patterns of the event types to send; the preset's if none are set."""
        return self.events if "events" in self.model_fields_set else self.chosen.events

    @property
    def start_at(self) -> Literal["latest", "earliest"] | int:
        """Where the endpoint starts; an instant is in Unix milliseconds."""
        if self.start == "latest":
            return "latest"
        if self.start == "earliest":
            return "earliest"
        at_ms = instant_ms(self.start)
        assert at_ms is not None, "it was validated"
        return at_ms

    @property
    def signing_keys(self) -> tuple[SigningKey, ...]:
        """The signing keys in their order, whether set by ``secrets`` or by ``signing``."""
        return self._signing.read_keys()

    @property
    def signing_form(self) -> Form:
        """The form of the signatures."""
        return self._signing.chosen_form

    @property
    def signing_texts(self) -> tuple[str, ...]:
        """The text of each signing key, as it must not appear anywhere."""
        return self._signing.key_texts()

    @property
    def _signing(self) -> SigningSettings:
        return self.signing or SigningSettings(keys=self.secrets)
