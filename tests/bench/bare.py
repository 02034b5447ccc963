"""The lower bound for the bridge: the same requests from a plain loop over the same transport.

``compare`` runs this as a separate process. It reads a JSON object from stdin (``url``, ``headers``,
``body``, ``requests``, ``tasks``, ``authority``, ``rate_per_s``) and prints one with ``cpu_us``. A rate of 0
is none.
"""

from __future__ import annotations

import asyncio
import ssl
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
    """Send all requests; a request that is answered 503 is sent again at once."""
    url, body = parse_url(job["url"]), job["body"].encode()
    kept = [(name.encode(), value.encode()) for name, value in job["headers"].items() if name != "webhook-id"]
    total, rate = job["requests"], job["rate_per_s"]
    tls = ssl.create_default_context(cafile=job["authority"]) if job["authority"] else None
    transport = LeanTransport(EgressPolicy([ip_network("127.0.0.0/8")]), job["tasks"], tls)
    number = iter(range(total))
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def sender() -> None:
        for which in number:
            early = began + which / rate - loop.time() if rate else 0.0
            if early > 0:
                await asyncio.sleep(early)
            # a unique id, as long as a UUID: the receiver has the same work as with the bridge
            request = Request("POST", url, (*kept, (b"webhook-id", b"%036d" % which)), body)
            status = (await transport.send(request, 15)).status
            while status == 503:
                status = (await transport.send(request, 15)).status
            if not 200 <= status < 300:
                raise SystemExit(f"the receiver answered {status}")

    cpu = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(job["tasks"]):
            group.create_task(sender())
    cpu = time.process_time() - cpu
    await transport.close()
    return {"cpu_us": cpu / total * 1e6}


if __name__ == "__main__":
    print(orjson.dumps(uvloop.run(run(orjson.loads(sys.stdin.buffer.read())))).decode())
