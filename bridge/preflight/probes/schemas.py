"""Try what decodes payloads: the schema folders of Fineract sources, and the registries."""

from __future__ import annotations

from bridge.errors import ConfigError, HookferryError
from bridge.preflight.probes.finding import Finding, failed, ok
from bridge.schemas.folder import read_folder, read_schema_file
from bridge.schemas.registry.client import RegistryClient
from bridge.settings import AvroSource, FineractSource, RegistrySettings, Settings
from bridge.wiring.decoders import build_registry_options


async def probe_schemas(settings: Settings) -> list[Finding]:
    """Return a finding for each source that needs schemas."""
    found = []
    for name, source in settings.sources.items():
        part = f"source {name}"
        try:
            if isinstance(source, FineractSource):
                number = len(read_folder(source.schemas).by_fingerprint)
                found.append(ok(part, f"{source.schemas} contains {number} schemas"))
            elif isinstance(source, AvroSource):
                found.append(ok(part, f"{source.schema_file} is {read_schema_file(source.schema_file).name}"))
            elif isinstance(registry := getattr(source, "registry", None), RegistrySettings):
                found.append(await _probe_registry(part, name, registry))
        except ConfigError as exc:
            found += [failed(part, problem) for problem in exc.problems]
    return found


async def _probe_registry(part: str, name: str, registry: RegistrySettings) -> Finding:
    """Ask for one schema, whether it exists or not: that needs the right URL, API and login."""
    client = RegistryClient(build_registry_options(name, registry))
    path = "/schemas/ids/1" if registry.speaks == "confluent" else "/ids/contentIds/1"
    try:
        await client.get(path)
    except HookferryError as exc:
        return failed(part, str(exc), "check the registry's url, its login, and that it runs")
    finally:
        await client.close()
    return ok(part, f"the registry {client.origin} answers")
