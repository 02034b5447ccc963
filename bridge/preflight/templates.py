"""Renders the templates of a configuration with sample events. For ``hookferry check``.

The schemas of a Fineract source define the fields of its events, so a misspelled field is found. For other
formats a missing field proves nothing; only other faults are found: a value of the wrong type, a loop that is
too long, invalid JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from xml.parsers import expat

from bridge.errors import RenderError
from bridge.model import Event
from bridge.preflight.files import readable_schemas
from bridge.preflight.samples import sample
from bridge.preflight.samples.payloads import schema_of
from bridge.rendering import Renderer
from bridge.rendering.escape import Kind, kind_of_content
from bridge.rendering.request import RequestRenderer
from bridge.rendering.sandbox import TemplateFault
from bridge.settings import EndpointSettings, FineractSource, Settings
from bridge.settings.models.fineract_types import FINERACT_TYPES
from bridge.settings.models.request import TemplateSettings
from bridge.settings.problem import Path, Place, Problem
from bridge.settings.rules.rendering import line_in, selects
from bridge.wiring.batches import build_batch_form
from bridge.wiring.endpoints import build_renderer

_PLAIN = "order.placed"
"""An event type for sources whose types are not known."""


def check_templates(settings: Settings, place_of: Callable[[Path], Place]) -> list[Problem]:
    """Return the mistakes, in file order. A schema folder that cannot be read counts as empty."""
    templated = {name: endpoint for name, endpoint in settings.endpoints.items() if endpoint.has_templates}
    if not templated:
        return []
    samples = _Samples(settings)
    problems: dict[tuple[str, str], Problem] = {}
    for name, endpoint in templated.items():
        renderer = build_renderer(endpoint)
        for event, known in samples.events(endpoint):
            for fault in _faults(renderer, endpoint, event):
                if isinstance(fault, TemplateFault) and fault.missing and not known:
                    continue
                where = (name, str(fault).partition(":")[0])  # report each line of a template once
                if where not in problems:
                    problems[where] = _problem(name, endpoint, event, fault, place_of)
    return sorted(problems.values(), key=lambda problem: problem.place)


class _Samples:
    """The sample events; each is created once for all endpoints."""

    def __init__(self, settings: Settings) -> None:
        self._sources = settings.sources
        self._schemas = readable_schemas(settings)
        self._events: dict[tuple[str, str], tuple[Event, bool]] = {}

    def events(self, endpoint: EndpointSettings) -> Iterator[tuple[Event, bool]]:
        """Yield an event of each type that an endpoint selects, and True if all its fields are known."""
        for source in endpoint.sources or self._sources:
            if source not in self._sources:
                continue  # a mistake that is reported at the endpoint
            if isinstance(self._sources[source], FineractSource):
                types = [kind for kind in FINERACT_TYPES if selects(endpoint.wanted, kind)]
            else:
                types = [kind for kind in endpoint.wanted if not set(kind) & set("!*?[")] or [_PLAIN]
            for type_ in types:
                if (source, type_) not in self._events:
                    self._events[source, type_] = self._sample(source, type_)
                yield self._events[source, type_]

    def _sample(self, source: str, type_: str) -> tuple[Event, bool]:
        schemas = self._schemas.get(source)
        if schemas is not None:
            return sample(type_, source=source, schemas=schemas), bool(schemas.named(schema_of(type_)))
        event = sample(type_, source=source)
        event.payload = dict
        return event, False


def _faults(renderer: Renderer, endpoint: EndpointSettings, event: Event) -> list[RenderError]:
    assert isinstance(renderer, RequestRenderer), "the endpoint has templates"
    faults = renderer.faults(event)
    content_type = endpoint.body.content_type if isinstance(endpoint.body, TemplateSettings) else ""
    if not faults and kind_of_content(content_type) is Kind.XML and "html" not in content_type:
        try:
            expat.ParserCreate().Parse(renderer.render(event).body, True)
        except expat.ExpatError as exc:
            return [RenderError(f"the body's template did not produce well-formed XML: {exc}")]
    if not faults and endpoint.batch is not None:
        try:
            build_batch_form(endpoint.batch, endpoint).item(event.webhook_id, renderer.render(event).body)
        except RenderError as exc:
            return [exc]
    return faults


def _problem(
    name: str, endpoint: EndpointSettings, event: Event, fault: RenderError, place_of: Callable[[Path], Place]
) -> Problem:
    path, place = _place(name, endpoint, fault, place_of)
    remedy = f"try it with: hookferry render --endpoint {name} --sample {event.type}"
    return Problem(place, path, f"with a sample of {event.type}: {fault}", remedy)


def _place(
    name: str, endpoint: EndpointSettings, fault: RenderError, place_of: Callable[[Path], Place]
) -> tuple[Path, Place]:
    base: Path = ("endpoints", name)
    where, line = (fault.name, fault.line) if isinstance(fault, TemplateFault) else ("", 0)
    if where.startswith("the header "):
        path = (*base, "headers", where.removeprefix("the header "))
        return path, place_of(path)
    if where.startswith("the URL"):
        return (*base, "url"), place_of((*base, "url"))
    body = endpoint.body
    if isinstance(body, TemplateSettings) and body.template is not None:
        path = (*base, "body", "template")
        return path, line_in(place_of(path), body.template, line) if line else place_of(path)
    if isinstance(body, TemplateSettings) and body.template_file is not None:
        path = (*base, "body", "template_file")
        return path, Place(str(body.template_file), line, 1) if line else place_of(path)
    return (*base, "body"), place_of((*base, "body"))
