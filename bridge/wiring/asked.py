"""Collect what the endpoints read of payloads, so that the decoders decode only that.

Reads settings only; after a change of the configuration, call it again and build the decoders again.
"""

from __future__ import annotations

from bridge.core.asked_fields import EVERYTHING, AskedFields, Asking
from bridge.core.filter import Filter
from bridge.model import WHOLE, FieldSet
from bridge.rendering.named import READS
from bridge.rendering.template import payload_paths
from bridge.settings import EndpointSettings, FineractSource, Settings
from bridge.settings.models.request import TemplateSettings

_NOTHING: FieldSet = frozenset()


def build_asked_fields(settings: Settings) -> AskedFields:
    """Build the fields that the endpoints ask for; everything if no format can decode in part."""
    if not any(isinstance(source, FineractSource) for source in settings.sources.values()):
        return EVERYTHING
    return AskedFields([_asking(endpoint) for endpoint in settings.endpoints.values()])


def _asking(endpoint: EndpointSettings) -> Asking:
    when = _NOTHING if endpoint.when is None else Filter(endpoint.when).reads
    templates = (*endpoint.url_expressions, *endpoint.header_templates.values())
    read = _body(endpoint).union(when, *map(payload_paths, templates))
    return Asking(read, frozenset(endpoint.sources) if endpoint.sources else None, endpoint.wanted)


def _body(endpoint: EndpointSettings) -> FieldSet:
    """Return what the body reads; presets and most named bodies send the whole payload."""
    body = endpoint.body
    if not endpoint.has_own_body:
        return WHOLE
    return payload_paths(body.source()) if isinstance(body, TemplateSettings) else READS.get(body, WHOLE)
