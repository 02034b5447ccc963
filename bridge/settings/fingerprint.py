"""The hash of a configuration, and the other files that it is made of. Reads files.

Invariant: no secret goes into the hash, so it may be shown. Two processes with the same file have the same
hash, although each has its own folder and its own name in the group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from bridge.settings.models.endpoints import EndpointSettings
from bridge.settings.models.request import TemplateSettings
from bridge.settings.models.settings import Settings
from bridge.telemetry.scrub import scrub

_DIGITS = 12


def config_hash(settings: Settings) -> str:
    """Return the hash of a configuration without its secrets: twelve hexadecimal digits."""
    document = settings.model_dump(
        mode="json", exclude={"state_dir", "memory_budget"}
    )  # of a worker: its own
    document["log"].pop("format", None)  # a worker writes JSON
    document["kafka"].pop("group_instance_id", None)  # it differs between the pods of a group
    made_of = {
        name: [endpoint.target.origin, scrub(_template(endpoint))]
        for name, endpoint in settings.endpoints.items()
    }
    written = orjson.dumps([document, made_of], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(written).hexdigest()[:_DIGITS]


def file_digests(settings: Settings) -> Mapping[str, str]:
    """Return a digest of the files that the requests of each endpoint are made with: templates and keys.

    Certificates are not among them: they are loaded again when a connection is made.
    """
    return {name: _digest(endpoint) for name, endpoint in settings.endpoints.items()}


def files_of(settings: Settings) -> Iterator[Path]:
    """Yield the files that endpoints name, for a watch."""
    for endpoint in settings.endpoints.values():
        yield from _files(endpoint)
        tls = endpoint.tls
        if tls is not None:
            yield from (Path(path) for path in (tls.ca_file, tls.cert_file, tls.key_file) if path)


def _files(endpoint: EndpointSettings) -> Iterator[Path]:
    body, oauth2 = endpoint.body, endpoint.oauth2
    if isinstance(body, TemplateSettings) and body.template_file:
        yield Path(body.template_file)
    if oauth2 is not None and oauth2.private_key is not None:
        yield Path(oauth2.private_key.key_file)


def _digest(endpoint: EndpointSettings) -> str:
    digest = hashlib.sha256()
    for path in _files(endpoint):
        try:
            digest.update(path.read_bytes())
        except OSError as exc:
            digest.update(str(exc.errno).encode())
    return digest.hexdigest()


def _template(endpoint: EndpointSettings) -> str:
    if not isinstance(endpoint.body, TemplateSettings):
        return ""
    try:
        return endpoint.body.source()
    except OSError:
        return ""
