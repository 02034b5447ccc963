"""Tries the templates of a configuration with sample events, before real ones come.

For ``hookferry check``. Where the fields of an event type are known, from the schemas of a Fineract source, a
misspelt one is found; where they are not (plain JSON, CloudEvents), a value that is missing says nothing,
and what can be found is the rest: a value in the wrong place, a loop that is too long, JSON that is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from xml.parsers import expat

from bridge import assembly
from bridge.decode.schema_set import SchemaSet
from bridge.errors import RenderError
from bridge.model import Event
from bridge.render import Renderer
from bridge.render.escape import Kind, kind_of_content
from bridge.render.request import RequestRenderer
from bridge.samples import sample
from bridge.samples.payloads import schema_of
from bridge.sandbox import TemplateFault
from bridge.settings import EndpointSettings, FineractSource, Settings
from bridge.settings.fineract_types import FINERACT_TYPES
from bridge.settings.place import Path, Place, Problem
from bridge.settings.rendering_rules import line_in, selects
from bridge.settings.request import TemplateSettings

_PLAIN = "order.placed"
"""A type for sources whose types nobody knows beforehand."""


def rehearse(settings: Settings, place_of: Callable[[Path], Place]) -> list[str]:
    """What is wrong, one line each as ``hookferry check`` prints it. Raises ``ConfigError``."""
    templated = {name: one for name, one in settings.endpoints.items() if one.has_templates}
    if not templated:
        return []
    schemas = assembly.schema_sets(settings)
    problems: dict[tuple[str, str], Problem] = {}
    for name, endpoint in templated.items():
        renderer = assembly.renderer(endpoint)
        for event, known in _samples(endpoint, settings, schemas):
            for fault in _faults(renderer, endpoint, event):
                if isinstance(fault, TemplateFault) and fault.missing and not known:
                    continue
                where = (name, str(fault).partition(":")[0])  # one for each line of a template
                if where not in problems:
                    problems[where] = _problem(name, endpoint, event, fault, place_of)
    return [str(problem) for problem in sorted(problems.values(), key=lambda one: one.place)]


def _samples(
    endpoint: EndpointSettings, settings: Settings, schemas: Mapping[str, SchemaSet]
) -> Iterator[tuple[Event, bool]]:
    """Events it may be sent, and whether all their fields are known."""
    for source in endpoint.sources or settings.sources:
        if not isinstance(settings.sources[source], FineractSource):
            named = [one for one in endpoint.wanted if not set(one) & set("!*?[")]
            for type_ in named or [_PLAIN]:
                event = sample(type_, source=source)
                event.decode_payload = dict
                yield event, False
            continue
        for type_ in FINERACT_TYPES:
            if selects(endpoint.wanted, type_):
                known = bool(schemas[source].named(schema_of(type_)))
                yield sample(type_, source=source, schemas=schemas[source]), known


def _faults(renderer: Renderer, endpoint: EndpointSettings, event: Event) -> list[RenderError]:
    assert isinstance(renderer, RequestRenderer), "it has templates"
    faults = renderer.faults(event)
    content_type = endpoint.body.content_type if isinstance(endpoint.body, TemplateSettings) else ""
    if not faults and kind_of_content(content_type) is Kind.XML and "html" not in content_type:
        try:
            expat.ParserCreate().Parse(renderer.render(event).body, True)
        except expat.ExpatError as exc:
            return [RenderError(f"the body's template made no well-formed XML: {exc}")]
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
