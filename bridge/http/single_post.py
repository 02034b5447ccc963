"""Send one request outside of the path, to a service that receives no events: the collector of traces.

Invariant: no redirect is followed, and no body of an answer is read.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx

from bridge.errors import TransportError, TransportFault


async def post_once(
    url: str, headers: Mapping[str, str], body: bytes, *, ca_file: Path | None, timeout_s: float
) -> int:
    """Return the status of the answer. Raises ``TransportError``, with a detail that contains no secret."""
    try:
        verify = True if ca_file is None else ssl.create_default_context(cafile=str(ca_file))
        async with (
            httpx.AsyncClient(verify=verify, timeout=timeout_s, follow_redirects=False) as client,
            client.stream("POST", url, content=body, headers=dict(headers)) as answer,
        ):
            return answer.status_code
    except httpx.ConnectError as exc:
        raise TransportError(TransportFault.CONNECT, str(exc)[:200]) from exc
    except httpx.TimeoutException as exc:
        raise TransportError(TransportFault.TIMEOUT, f"no answer within {timeout_s:g} s") from exc
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise TransportError(TransportFault.PROTOCOL, type(exc).__name__) from exc
    except OSError as exc:
        raise TransportError(TransportFault.TLS, str(exc.strerror or exc)[:200]) from exc
