"""The lower bound for the bridge: the same requests from a plain loop over the same transport.

``bench`` runs this as a separate process. It reads a JSON object from stdin (``url``, ``headers``, ``body``,
``requests``, ``tasks``) and prints one with ``cpu_us`` and ``per_s``.
"""

from __future__ import annotations

import asyncio
import sys
import time
from ipaddress import ip_network
from typing import Any

import orjson
import uvloop

from bridge.core.url import parse_url
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from bridge.model import Request


async def run(job: dict[str, Any]) -> dict[str, float]:
    """Send all requests; every answer must be a 2xx."""
    url, body = parse_url(job["url"]), job["body"].encode()
    kept = [(name.encode(), value.encode()) for name, value in job["headers"].items() if name != "webhook-id"]
    total, tasks = job["requests"], job["tasks"]
    transport = LeanTransport(EgressPolicy([ip_network("127.0.0.0/8")]), tasks)
    number = iter(range(total))

    async def sender() -> None:
        for which in number:
            # a unique id, as long as a UUID: the receiver has the same work as with the bridge
            headers = (*kept, (b"webhook-id", b"%036d" % which))
            response = await transport.send(Request("POST", url, headers, body), 15)
            if not 200 <= response.status < 300:
                raise SystemExit(f"the receiver answered {response.status}")

    wall, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(sender())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await transport.close()
    return {"cpu_us": cpu / total * 1e6, "per_s": total / wall}


if __name__ == "__main__":
    print(orjson.dumps(uvloop.run(run(orjson.loads(sys.stdin.buffer.read())))).decode())
